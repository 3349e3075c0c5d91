"""Records as they come out of read buffers, gathered into runs of the length that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batchpredict.errors import RECORD_TOO_LARGE
from batchpredict.formats.records import Damage, Run

# A run is a model batch or several, and short runs cost there, so a run may be filled from many read buffers;
# but not from any number of them: a thousand records of a megabyte are not to be held for the sake of it.
HELD_BYTES = 16 << 20


class Gathering:
    """Counts the record positions of one segment and cuts its records into runs.

    Each method yields the events that are complete after it, in the order of the file.
    """

    def __init__(self, rows: int, framing: int) -> None:
        self.count = 0
        self._rows = rows
        self._framing = framing
        self._payloads: list[bytes] = []
        self._raw: list[bytes] = self._payloads
        self._offset = 0

    def add(self, payloads: list[bytes], raw: list[bytes], offset: int, end: int) -> Iterator[Run]:
        """Records that lie in bytes `offset` to `end`, directly behind those that were added before."""
        if self._payloads:
            same = raw is payloads and self._raw is self._payloads
            payloads = self._payloads + payloads
            raw = payloads if same else self._raw + raw
            offset = self._offset
        at = 0
        while len(payloads) - at >= self._rows:
            part = payloads[at : at + self._rows]
            run = self._run(part, part if raw is payloads else raw[at : at + self._rows], offset)
            yield run
            offset = run.offset_of(self._rows)
            at += self._rows
        same = raw is payloads
        self._payloads = payloads[at:]
        self._raw = self._payloads if same else raw[at:]
        self._offset = offset
        if end - offset > HELD_BYTES:
            yield from self.flush()

    def flush(self) -> Iterator[Run]:
        """What is left, as a short run."""
        if self._payloads:
            run = self._run(self._payloads, self._raw, self._offset)
            self._payloads = self._raw = []
            yield run

    def damage(self, offset: int, code: str, message: str) -> Iterator[Run | Damage]:
        """A stretch that cost records, at `offset`, behind everything that was added."""
        yield from self.flush()
        damage = Damage(offset, self.count, code, message)
        self.count += 1
        yield damage

    def too_large(self, offset: int, longest: int) -> Iterator[Run | Damage]:
        """A record at `offset` that is longer than `longest` bytes."""
        yield from self.damage(offset, RECORD_TOO_LARGE, f"the record is longer than {longest} bytes")

    def _run(self, payloads: list[bytes], raw: Sequence[bytes], offset: int) -> Run:
        run = Run(payloads, offset, self.count, raw, self._framing)
        self.count += len(payloads)
        return run
