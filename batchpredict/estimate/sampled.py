"""What a sampling process is asked for, and what it answers: a split's task and manifest, with more in both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpredict.formats import Segment
from batchpredict.ledger import Manifest
from batchpredict.models import Signature
from batchpredict.scoring import Task


@dataclass(frozen=True)
class SampleTask(Task):
    """An attempt at a part of a split.

    Attributes:
      rows: stop after so many records; None for no limit.
      seconds: stop reading after so long; None for no limit.
      at_least: records that are read whatever time it takes.
      run_rows: most records that a reader hands over at a time; None for as many as in a job.
      batch_size: records of a model call; None for as many as the job has.
      repeat: begin again where the split has no more records.
    """

    rows: int | None = None
    seconds: float | None = None
    at_least: int = 1
    run_rows: int | None = None
    batch_size: int | None = None
    repeat: bool = False


@dataclass(frozen=True)
class Span:
    """What was read of one segment.

    Attributes:
      segment: the segment.
      records: record positions, those that were lost to damage among them.
      begin, end: bytes of the first record and behind the last, of what the file is when it is decompressed; both 0
        in a columnar file.
      complete: all of the segment was read.
    """

    segment: Segment
    records: int
    begin: int
    end: int
    complete: bool


@dataclass(frozen=True)
class Stages:
    """Seconds of an attempt, by what was done in them.

    Attributes:
      read, decode, model, write: in these four parts of the hot path.
      other: between them: grouping, errors, progress.
      waited: for a core, as others had it, which is not in the five before; 0 where the system does not tell.
      commit: outside of the loop over records: opening and closing the part, and its manifest.
    """

    read: float = 0.0
    decode: float = 0.0
    model: float = 0.0
    write: float = 0.0
    other: float = 0.0
    waited: float = 0.0
    commit: float = 0.0

    @property
    def loop(self) -> float:
        """All but the commit."""
        return self.own + self.waited

    @property
    def own(self) -> float:
        """What the loop took, or would take where nobody else uses the machine."""
        return self.read + self.decode + self.model + self.write + self.other

    def __add__(self, more: Stages) -> Stages:
        return Stages(
            self.read + more.read,
            self.decode + more.decode,
            self.model + more.model,
            self.write + more.write,
            self.other + more.other,
            self.waited + more.waited,
            self.commit + more.commit,
        )


@dataclass(frozen=True)
class Measured(Manifest):
    """The manifest of an attempt, and what it took.

    Attributes:
      spans: what was read, in order; empty where it was read again and again.
      stages: where its time went.
      peak_bytes: peak of the resident memory of its process, as far as the system tells.
      signature: of the model.
      failed: lines of its error part, the first megabyte of them.
      publish_seconds: what it took to publish its results; 0 if that was not tried.
    """

    spans: tuple[Span, ...] = ()
    stages: Stages = field(default_factory=Stages)
    peak_bytes: int = 0
    signature: Signature | None = None
    failed: tuple[Mapping[str, Any], ...] = ()
    publish_seconds: float = 0.0

    @property
    def records(self) -> int:
        return self.predictions + self.error_count
