"""`batchpredict operations …`, and the wait for the operations that other commands begin."""

from __future__ import annotations

import argparse
import time
from typing import Any

from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Refused, Service
from batchpredict.cli.remote.names import operation_name
from batchpredict.cli.remote.render import last_part, print_resource, tell, value_at
from batchpredict.cli.remote.running import command
from batchpredict.launch import SUCCEEDED

# Seconds between two looks at an operation: at first as short as that of a small model, then longer.
_FIRST_LOOK = 0.1
_LONGEST_LOOK = 5.0


@command
def list_operations(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{service.parent}/operations",
        items="operations",
        name=lambda operation: str(operation["name"]),
        columns={
            "NAME": lambda operation: last_part(operation.get("name")),
            "TYPE": lambda operation: str(value_at(operation, "metadata.operationType") or ""),
            "DONE": lambda operation: "True" if operation.get("done") else "False",
        },
    )


@command
def describe(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.get(operation_name(service, options.operation)), options.format)
    return SUCCEEDED


@command
def wait(service: Service, options: argparse.Namespace) -> int:
    operation = service.get(operation_name(service, options.operation))
    print_resource(finished(service, operation, quiet=options.quiet), options.format)
    return SUCCEEDED


@command
def cancel(service: Service, options: argparse.Namespace) -> int:
    service.post(f"{operation_name(service, options.operation)}:cancel", {})
    return SUCCEEDED


def finished(service: Service, operation: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Wait for the end of an operation; what it came to.

    Raises:
      Refused: it failed.
    """
    look = _FIRST_LOOK
    said = False
    while not operation.get("done"):
        if not said and look >= 1:
            tell(f"waiting for the operation {last_part(operation['name'])}…", quiet=quiet)
            said = True
        time.sleep(look)
        look = min(look * 2, _LONGEST_LOOK)
        operation = service.get(str(operation["name"]))
    error = operation.get("error")
    if error:
        raise Refused(0, "", str(error.get("message", "the operation failed")))
    found: dict[str, Any] = operation.get("response", {})
    return {key: value for key, value in found.items() if key != "@type"}
