"""What is created once, whatever happens to the call: an id that is sent again finds what it made before."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.cli.fields import spelling
from batchpredict.cli.remote.connection import Interrupted, Refused, Service

Document = dict[str, Any]

# A create whose answer was lost is sent again after so many seconds each.
_WAITS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Kind:
    """A kind of resource whose id comes from its creator.

    Attributes:
      noun: "job".
      fields: what makes two of them the same, as answers name it.
      again: what to do where nobody knows whether it was created: "submit it again, under the same id".
      taken: said of an id that something has already: "an id is used once".
    """

    noun: str
    fields: Sequence[str]
    again: str
    taken: str

    def advice(self, name: str) -> str:
        """What to type to see how it does."""
        collection, _, one = name.rpartition("/")
        return f"'batchpredict {collection.rpartition('/')[2]} describe {one}' shows it"


def create(service: Service, kind: Kind, name: str, document: Document) -> Document:
    """Create a resource; what the service answers. A call whose answer was lost is made again, and what it has made
    already is ours.

    Args:
      name: its full name.

    Raises:
      Refused: the service does not want it; one of this name that is another one, too.
      Unreachable: nobody answers; it was not created, or nobody knows.
    """
    collection = name.rpartition("/")[0]
    unknown: Interrupted | None = None
    for wait in (*_WAITS, None):
        try:
            return service.post(collection, document)
        except Interrupted as error:
            unknown = error
        except Refused as error:
            if error.code in (502, 503, 504):
                # A proxy may have given up on a service that went on.
                unknown = Interrupted(str(error))
            elif error.status == "ALREADY_EXISTS":
                return _existing(service, kind, name, document, error, ours=unknown is not None)
            else:
                raise
        if wait is not None:
            time.sleep(wait)
    assert unknown is not None
    raise Interrupted(f"{unknown}; whether the {kind.noun} was created is not known: {kind.again}")


def _existing(
    service: Service, kind: Kind, name: str, document: Document, error: Refused, *, ours: bool
) -> Document:
    """What has the name already, if an earlier try of this call has made it."""
    found = service.get(name)
    same = all(_content(found, field) == _content(document, field) for field in kind.fields)
    if same and ours:
        return found
    what = f"it is {'the same' if same else 'another'} {kind.noun}, {found.get('state')}"
    raise Refused(
        error.code,
        error.status,
        f"a {kind.noun} '{name.rpartition('/')[2]}' exists already ({what}), and {kind.taken}; {kind.advice(name)}",
    )


def _content(document: Mapping[str, Any], field: str) -> Any:
    """A field without what is not set in it: the service gives an input back as it came."""
    found = document.get(spelling(dict(document), field))
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if value is not None}
