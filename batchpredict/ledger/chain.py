"""Chaining the ends: proof that the splits of a file, read apart, are the file read whole.

Where a split begins inside a record, its reader guesses where the next record begins. Each manifest says where
its split really began and where the next one must begin; this module follows these links through each file and
says which split has to be read again from which byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from batchpredict.errors import StagingDamaged
from batchpredict.formats import Border, Segment, Split, fits
from batchpredict.ledger.manifest import Manifest, SegmentReport
from batchpredict.ledger.staging import Staging

Redo: TypeAlias = "Callable[[Split, int | None], None]"
"""Has a split scored and committed: from the byte where it must begin, or as it was planned."""


@dataclass(frozen=True)
class End:
    """How far the input has been followed: into which file, and how much of it.

    Attributes:
      path: the file; "" before the first one.
      border: byte of it at which the next split must begin.
      records: of it before that byte.
      size: bytes of it.
    """

    path: str = ""
    border: int = 0
    records: int = 0
    size: int = 0

    def check(self) -> None:
        """Raise StagingDamaged if there should be more of the file."""
        if self.border < self.size:
            raise StagingDamaged(
                f"The splits of '{self.path}' end at byte {self.border} of {self.size}; run the job again with "
                "--fresh."
            )


@dataclass(frozen=True)
class Link:
    """A split whose place in its file is proven.

    Attributes:
      manifest: what counts for it.
      bases: for each of its segments, how many records of the file lie before it.
    """

    manifest: Manifest
    bases: tuple[int, ...]


def guessed(manifest: Manifest) -> End:
    """Where the splits before this one leave off if its own guess is right; `records` is not known."""
    report = next(iter(manifest.segments), None)
    if report is None or report.start == 0:
        return End()
    border = report.next if report.begin is None else report.begin
    return End(report.path, border, 0, report.size)


class Misfit(Exception):
    """A split does not begin where the one before it ends, and nobody is there to read it again."""


class Chain:
    """Follows the input from one split to the next.

    Args:
      staging: where the manifests are.
      end: where the first split must begin.
      redo: has a split read again from a byte and committed; None to raise `Misfit` instead.
    """

    def __init__(self, staging: Staging, end: End, redo: Redo | None) -> None:
        self.end = end
        self._staging = staging
        self._redo = redo

    def follow(self, manifest: Manifest) -> Link:
        """The link of the next split.

        Raises:
          StagingDamaged: a file is not covered, or a split that was read again does not fit either.
          Misfit: see above.
        """
        bases = []
        for report in manifest.segments:
            if report.path != self.end.path:
                self.end.check()
                self.end = End(report.path, 0, 0, report.size)
            if not _fits(self.end.border, report):
                manifest = self._read_again(report, manifest.split)
                (report,) = manifest.segments
            bases.append(self.end.records)
            border = max(self.end.border, report.next)
            self.end = End(report.path, border, self.end.records + report.records, report.size)
        return Link(manifest, tuple(bases))

    def _read_again(self, report: SegmentReport, split: int) -> Manifest:
        start = self.end.border
        if self._redo is None:
            raise Misfit
        if not self._staging.is_committed(split, start):
            self._redo(Split(split, (segment_of(report),)), start)
        manifest = self._staging.read(split, start)
        if len(manifest.segments) != 1 or not _fits(start, manifest.segments[0]):
            raise StagingDamaged(
                f"Split {split} of '{report.path}' was read again from byte {start} and does not fit."
            )
        return manifest


def segment_of(report: SegmentReport) -> Segment:
    """The segment that was read, as planned."""
    return Segment(report.path, report.start, report.end, report.size, report.exact, report.version)


def _fits(border: int, report: SegmentReport) -> bool:
    return fits(border, segment_of(report), Border(report.begin, report.next, report.records))
