"""Changes of labels, so that two who make them at the same time both have theirs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from batchpredict.cli.remote.connection import Refused, Service
from batchpredict.cli.remote.connection_flags import is_update
from batchpredict.errors import WrongCall

# Each time somebody else was faster, and whoever is slower eight times in a row should know.
_TRIES = 8


def relabelled(service: Service, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Change a resource as the flags say, labels on top of those that it has; what the service answers.

    Raises:
      WrongCall: no flag says anything.
    """
    fields = {}
    if getattr(options, "description", None) is not None:
        fields["description"] = options.description
    if not is_update(options):
        if not fields:
            raise WrongCall("there is nothing to update: give --update-labels, --remove-labels or --clear-labels")
        return service.patch(name, fields, ",".join(fields))
    for left in range(_TRIES - 1, -1, -1):
        found = service.get(name)
        body = {**fields, "labels": changed(found.get("labels", {}), options), "etag": found.get("etag")}
        try:
            return service.patch(name, body, ",".join((*fields, "labels", "etag")))
        except Refused as error:
            if error.status != "ABORTED" or not left:
                raise
    raise AssertionError("the last try returns or raises")


def changed(before: Mapping[str, str], options: argparse.Namespace) -> dict[str, str]:
    """Labels after an update."""
    gone = set(before) if options.clear_labels else set(options.remove_labels or ())
    kept = {key: value for key, value in before.items() if key not in gone}
    return {**kept, **(options.update_labels or {})}
