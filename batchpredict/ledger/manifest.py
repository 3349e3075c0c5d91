"""The manifest of a split: the document whose creation commits the split's part.

Format version 1, JSON. Field names are part of the format: manifests of finished jobs stay beside their results
and must stay readable. A reader ignores fields that it does not know.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from batchpredict.errors import StagingDamaged

MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What was found in one segment.

    Attributes:
      path, start, end, size: the segment as planned; bytes.
      exact: the segment was known to start at a record.
      begin: byte where its first record begins; None if none begins in it.
      next: byte where the next segment of the file must begin.
      records: record positions in it, those that were lost to damage among them.
      version: of the file's content, as planned; "" where it was not known, and in manifests before 0.2.
    """

    path: str
    start: int
    end: int
    size: int
    exact: bool
    begin: int | None
    next: int
    records: int
    version: str = ""


@dataclass(frozen=True)
class PartFile:
    """A file of a part: its name in the staging folder's `parts/`, and its size."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A committed split.

    Attributes:
      fingerprint: the job it belongs to.
      split: number of the split, from 0.
      forced_start: byte at which this attempt was told to begin, when a guessed border had been wrong.
      worker: host and process that did it.
      start_time, end_time: seconds since the epoch.
      node_seconds: seconds that a worker spent on it, loading of the model included.
      columns: names of the fields of a result, those that were carried past the model first.
      results, errors: the files of its part; no `errors` if there were none.
      segments: what was read, in order.
      predictions, error_count: instances.
      error_stats: (message, count) of its most frequent errors.
      batch_calls: model calls; batch_rows: rows in them; batch_min, batch_max: rows of the smallest and largest.
      call_seconds: time in model calls; load_seconds: time to load the model, if this split was the first.
      tensorflow: version that called the model; "" in manifests before 0.2.
    """

    fingerprint: str
    split: int
    forced_start: int | None
    worker: str
    start_time: float
    end_time: float
    node_seconds: float
    columns: tuple[str, ...]
    results: PartFile
    errors: PartFile | None
    segments: tuple[SegmentReport, ...]
    predictions: int
    error_count: int
    error_stats: tuple[tuple[str, int], ...]
    batch_calls: int
    batch_rows: int
    batch_min: int
    batch_max: int
    call_seconds: float
    load_seconds: float
    tensorflow: str = ""

    @property
    def bytes_read(self) -> int:
        """Input bytes that this split stands for."""
        return sum(segment.end - segment.start for segment in self.segments)

    def to_json(self) -> bytes:
        return json.dumps({"format": MANIFEST_VERSION, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Manifest:
        """Read a manifest; `name` is for the error message.

        Raises:
          StagingDamaged: not a manifest, or one of a version that this program does not know.
        """
        try:
            version = _VERSIONED.validate_json(data)["format"]
            if version != MANIFEST_VERSION:
                text = f"The manifest {name} has format {version}; this program reads {MANIFEST_VERSION}."
                raise StagingDamaged(text)
            return _MANIFESTS.validate_json(data)
        except (ValidationError, KeyError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"no field {error}"
            text = f"The manifest {name} cannot be read ({why}); run the job again with --fresh."
            raise StagingDamaged(text) from error


_MANIFESTS = TypeAdapter(Manifest)
_VERSIONED = TypeAdapter(dict[str, object])
