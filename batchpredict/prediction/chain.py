"""Chaining the ends: proof that the splits of a file, read apart, are the file read whole.

Where a split begins inside a record, its reader guesses where the next record begins. Each manifest says where
its split really began and where the next one must begin; this module follows these links through each file and
says which split has to be read again from which byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from batchpredict.errors import StagingDamaged
from batchpredict.formats import Border, Segment, Split, fits
from batchpredict.prediction.manifest import Manifest, SegmentReport
from batchpredict.prediction.staging import Staging

Redo: TypeAlias = "Callable[[Split, int | None], None]"
"""Has a split scored and committed: from the byte where it must begin, or as it was planned."""


@dataclass(frozen=True)
class Link:
    """A split whose place in its file is proven.

    Attributes:
      manifest: what counts for it.
      bases: for each of its segments, how many records of the file lie before it.
    """

    manifest: Manifest
    bases: tuple[int, ...]


def links(staging: Staging, splits: int, redo: Redo) -> Iterator[Link]:
    """The proven manifests of a job, in the order of its splits.

    Args:
      staging: where the manifests are.
      splits: how many there must be.
      redo: has a split read again from a byte and committed; called only where a link does not fit.

    Raises:
      StagingDamaged: a split is not committed, or a repeated one does not fit either.
    """
    keys = staging.committed()
    planned = [key for key in keys if key[1] is None and key[0] < splits]
    missing = set(range(splits)).difference(number for number, _ in planned)
    if missing:
        raise StagingDamaged(
            f"{len(missing)} of {splits} splits are not committed, the first is {min(missing)}; run the job again."
        )
    again = {key for key in keys if key[1] is not None}
    path = ""
    border = records = size = 0
    for manifest in staging.read_all(planned):
        bases = []
        for report in manifest.segments:
            if report.path != path:
                _check_end(path, border, size)
                size = report.size
                path, border, records = report.path, 0, 0
            if not _fits(border, report):
                manifest = _read_again(staging, report, manifest.split, border, again, redo)
                (report,) = manifest.segments
            bases.append(records)
            records += report.records
            border = max(border, report.next)
        yield Link(manifest, tuple(bases))
    _check_end(path, border, size)


def _check_end(path: str, border: int, size: int) -> None:
    if border < size:
        raise StagingDamaged(
            f"The splits of '{path}' end at byte {border} of {size}; run the job again with --fresh."
        )


def _read_again(
    staging: Staging,
    report: SegmentReport,
    split: int,
    start: int,
    again: set[tuple[int, int | None]],
    redo: Redo,
) -> Manifest:
    if (split, start) not in again:
        redo(Split(split, (segment_of(report),)), start)
    manifest = staging.read(split, start)
    if len(manifest.segments) != 1 or not _fits(start, manifest.segments[0]):
        raise StagingDamaged(f"Split {split} of '{report.path}' was read again from byte {start} and does not fit.")
    return manifest


def segment_of(report: SegmentReport) -> Segment:
    """The segment that was read, as planned."""
    return Segment(report.path, report.start, report.end, report.size, report.exact, report.version)


def _fits(border: int, report: SegmentReport) -> bool:
    return fits(border, segment_of(report), Border(report.begin, report.next, report.records))
