"""A rendezvous in the jobs service that runs the job.

The documents are rows of the service's database, see `service.store.rendezvous`. A job's hosts come with a token of
that job alone; it ends with the lease of the worker that runs the job, so that a host which belongs to an earlier
lease, and nobody knows of any more, can neither write nor read.
"""

from __future__ import annotations

import functools
import json
import threading
from dataclasses import dataclass
from typing import Any

from batchpredict.training.gang.address import ServiceAddress
from batchpredict.training.gang.calls import Calls
from batchpredict.training.gang.rendezvous import Document, encoded

# Times that what stands there is another version than expected: once for each call whose answer was lost.
_VERSIONS = 10


class ServiceRendezvous:
    """Documents in the jobs service. Implements `Rendezvous`.

    Each document has a number, which is higher than that of every one that the job's hosts wrote before. So a
    `read` asks for what is new, whatever its prefix; and a `put` names the number that it replaces: one that was
    delayed under way does not replace what its writer has written since.

    Args:
      address: of the job's rendezvous in the service.
      place: of this gang among those of the job: letters, digits, `-`, `_`, `.` and `/`.
    """

    def __init__(self, address: ServiceAddress, place: str) -> None:
        self.place = place
        self._calls = _calls(address)
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._last = 0
        # The numbers of what was put here.
        self._mine: dict[str, int] = {}

    def create(self, name: str, document: Document) -> bool:
        answer = self._calls("POST", body=self._body(name, document))
        return bool(answer["created"])

    def put(self, name: str, document: Document) -> None:
        body = self._body(name, document)
        with self._lock:
            number = self._mine.get(name, 0)
        for _ in range(_VERSIONS):
            answer = self._calls("PUT", body={**body, "replaces": number})
            number = int(answer["number"])
            if answer["written"]:
                with self._lock:
                    self._mine[name] = number
                return
            # Nobody else writes this name: what stands there is of a call here whose answer was lost.
        raise OSError(f'The document "{name}" of {self.place} is written by somebody else as well.')

    def read(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        with self._lock:
            since = self._last
        more = True
        while more:
            answer = self._calls("GET", {"place": self.place, "since": str(since)})
            new = [_Known(str(one["name"]), int(one["number"]), one["document"]) for one in answer["documents"]]
            more = bool(answer["more"]) and bool(new)
            since = max([since, *(one.number for one in new)])
            with self._lock:
                for one in new:
                    known = self._known.get(one.name)
                    # Another thread may have read later than this one.
                    if known is None or known.number < one.number:
                        self._known[one.name] = one
                self._last = max(self._last, since)
        with self._lock:
            return {name: one.document for name, one in self._known.items() if name.startswith(prefix)}

    def _body(self, name: str, document: Document) -> dict[str, Any]:
        return {"place": self.place, "name": name, "document": json.loads(encoded(name, document))}


@dataclass(frozen=True)
class _Known:
    """A document as it was read."""

    name: str
    number: int
    document: dict[str, Any]


@functools.lru_cache(maxsize=8)
def _calls(address: ServiceAddress) -> Calls:
    """The same for all gangs of a job in this process, as a search has thousands."""
    return Calls(address)
