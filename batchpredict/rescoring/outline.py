"""What of a finished job is to be read again, split by split, before it is known how it is to be cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import IO

import numpy as np
import orjson

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.formats import POSITION, POSITION_BYTES, Kept, Positions, output_format, positions_of
from batchpredict.ledger import Manifest, SegmentReport, errors_name, results_name, spool
from batchpredict.rescoring.arithmetic import kept_before
from batchpredict.rescoring.finished_job import FinishedJob
from batchpredict.rescoring.named_errors import Errors, errors_in
from batchpredict.rescoring.unchanged import InputFile, Unchanged

_BLOCK = 1 << 16
# Files that are asked for together.
_MANY = 512


@dataclass(frozen=True)
class Part:
    """A segment of a split of the finished job.

    Attributes:
      report: what was read.
      base: records of the file that lie before it; 0 where nobody asks.
      first: number of the first of its positions; count: how many follow from there.
      records: how many records failed in it.
      encoding: of the file.
    """

    report: SegmentReport
    base: int = 0
    first: int = 0
    count: int = 0
    records: int = 0
    encoding: str = ""


@dataclass(frozen=True)
class Former:
    """A split of the finished job: its segments, and its results if they are to be kept."""

    split: int
    parts: tuple[Part, ...]
    kept: Kept | None = None

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, line: bytes) -> Former:
        fields = orjson.loads(line)
        parts = (Part(**{**part, "report": SegmentReport(**part["report"])}) for part in fields["parts"])
        return cls(fields["split"], tuple(parts), Kept(**fields["kept"]) if fields["kept"] else None)


class Outline:
    """The splits of a finished job in which something is to be done, and the places of the records that failed.

    Both are in temporary files, and neither is ever held. A context manager.

    Attributes:
      count: positions.
      bytes: of input that the splits stand for.
      files: files with errors.
      digest: of the positions.
    """

    def __init__(self, job: FinishedJob, *, numbered: bool) -> None:
        self._job = job
        self._numbered = numbered
        self._splits = spool()
        self._positions = spool()
        self._errors = 0
        self._taken = False
        self.count = 0
        self.bytes = 0
        self.files = 0
        self.digest = hashlib.sha256()

    def __enter__(self) -> Outline:
        return self

    def __exit__(self, *failure: object) -> None:
        self._splits.close()
        if not self._taken:
            self._positions.close()

    def read_failed(self) -> None:
        """Take the splits that have errors. Raises what `FinishedJob.failed` raises."""
        self._take(self._former(manifest, None) for manifest in self._job.failed())

    def read_all(self) -> None:
        """Take all splits, with their results. Raises what `FinishedJob.links` raises."""
        self._take(self._former(link.manifest, link.bases) for link in self._job.links())

    def _take(self, found: Iterator[Former]) -> None:
        with spool() as unseen:
            for former in found:
                unseen.write(former.to_json())
            if self._errors != self._job.error_files:
                raise StagingDamaged(f"{self._job.error_files} files of errors are of {self._errors} splits.")
            self._look(unseen)

    def _former(self, manifest: Manifest, bases: tuple[int, ...] | None) -> Former:
        """A split whose errors, if it has any, are in the next file of errors."""
        kept = None
        if bases is not None:
            name = results_name(manifest.split, self._job.splits, output_format(self._job.output_format()))
            kept = Kept(storage.join(self._job.path, name), manifest.results.bytes, manifest.predictions)
        reports = manifest.segments
        parts = [Part(report, base) for report, base in zip(reports, bases or [0] * len(reports), strict=True)]
        # A split that was read again may have errors that its first manifest, which this may be, does not know.
        if manifest.errors is not None or bases is None:
            parts = self._with_errors(parts, kept)
        return Former(manifest.split, tuple(parts if kept else [part for part in parts if part.count]), kept)

    def _with_errors(self, parts: list[Part], kept: Kept | None) -> list[Part]:
        url = storage.join(self._job.path, errors_name(self._errors, self._job.error_files))
        self._errors += 1
        numbers = {part.report.path: number for number, part in enumerate(parts)}
        # Records of the split that lie before each of its segments.
        starts = np.cumsum([0, *(part.report.records for part in parts)])
        bases = np.array([part.base for part in parts], np.int64)
        failed = 0
        for errors in errors_in(url, numbers, numbered=self._numbered):
            ordinals = starts[errors[:, 0]] + errors[:, 1] - bases[errors[:, 0]]
            before = kept_before(ordinals, errors[:, 3], failed)
            failed += int(errors[:, 3].sum())
            if kept is not None and (before.min() < 0 or before.max() > kept.rows):
                raise _unlike(url)
            parts = self._add(parts, errors, before if kept is not None else np.zeros_like(before))
        if kept is not None and failed + kept.rows != starts[-1]:
            raise _unlike(url)
        return parts

    def _add(self, parts: list[Part], errors: Errors, before: Errors) -> list[Part]:
        positions = np.empty(len(errors), POSITION)
        positions["offset"], positions["index"], positions["records"] = errors[:, 2], errors[:, 1], errors[:, 3]
        positions["before"] = before
        data = positions.tobytes()
        self._positions.write(data)
        self.digest.update(data)
        numbers, firsts, counts = np.unique(errors[:, 0], return_index=True, return_counts=True)
        sums = np.add.reduceat(errors[:, 3], firsts)
        at = self.count
        for number, count, records in zip(numbers.tolist(), counts.tolist(), sums.tolist(), strict=True):
            part = parts[number]
            first = part.first if part.count else at
            parts[number] = replace(part, first=first, count=part.count + count, records=part.records + records)
            at += count
        self.count = at
        return parts

    def _look(self, unseen: IO[bytes]) -> None:
        """See that the files with errors are what they were, and how they are encoded."""
        unseen.seek(0)
        unchanged = Unchanged()
        last = ""
        for some in _some(map(Former.from_json, unseen)):
            files = [_file(part.report) for former in some for part in former.parts if part.count]
            encodings = iter(unchanged.look(files))
            for former in some:
                parts = [replace(one, encoding=next(encodings)) if one.count else one for one in former.parts]
                self._splits.write(replace(former, parts=tuple(parts)).to_json())
                self.bytes += sum(max(one.report.end - one.report.start, 0) for one in parts)
            for file in files:
                self.files += file.path != last
                last = file.path
        unchanged.check()

    def formers(self) -> Iterator[Former]:
        """The splits in their order."""
        self._splits.seek(0)
        return map(Former.from_json, self._splits)

    def positions(self, first: int, count: int) -> Iterator[Positions]:
        """Some positions, by the block."""
        at, end = first, first + count
        while at < end:
            self._positions.seek(at * POSITION_BYTES)
            block = positions_of(self._positions.read(min(end - at, _BLOCK) * POSITION_BYTES))
            at += len(block)
            yield block

    def take_positions(self) -> IO[bytes]:
        """The file of the positions, which is from now on its taker's to close."""
        self._taken = True
        return self._positions


def _some(formers: Iterable[Former]) -> Iterator[list[Former]]:
    """Splits, so many at a time that their files are worth asking for together."""
    some: list[Former] = []
    count = 0
    for former in formers:
        some.append(former)
        count += len(former.parts)
        if count >= _MANY:
            yield some
            some, count = [], 0
    if some:
        yield some


def _file(report: SegmentReport) -> InputFile:
    return InputFile(report.path, report.size, report.version)


def _unlike(url: str) -> StagingDamaged:
    return StagingDamaged(f"'{url}' does not name what its manifest has counted.")
