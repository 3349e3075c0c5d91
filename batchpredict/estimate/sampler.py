"""A worker process that samples: it scores parts of splits as a job's worker would, and says what that took."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from batchpredict.estimate.limited import LimitedReader
from batchpredict.estimate.sampled import Measured, SampleTask
from batchpredict.estimate.stopwatch import Stopwatch, TimedModel, TimedResults, TimedWatch
from batchpredict.formats import InputFormat, Reader
from batchpredict.ledger import Manifest, PredictionSpec, Staging
from batchpredict.models import Model
from batchpredict.scoring import SplitPredictor, Task, Watch
from batchpredict.workers import serve

PROGRAM = "from batchpredict.estimate.sampler import main; main()"
"""Python code of such a process, for a `WorkerProcess`."""


def main() -> None:
    """Entry point, with the arguments of any worker process."""
    # Where memory runs out it shall cost this process, and nobody else.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    serve(Sampler)


@dataclass(frozen=True)
class _ReadOtherwise(PredictionSpec):
    """A job whose files are read by a reader of one's own."""

    reader: Reader | None = None

    @property
    def input(self) -> InputFormat:
        return replace(super().input, load_reader=lambda: cast(Reader, self.reader))


class Sampler(SplitPredictor):
    """A `SplitPredictor` whose parts are timed and whose reader may end early; gives `Measured` manifests.

    It is the predictor itself and no imitation, so that what is measured is what a job runs.
    """

    def __init__(self, spec: PredictionSpec, staging: Staging, model: Model, *, watch: Watch, **more: Any) -> None:
        self._stopwatch = Stopwatch()
        self._limited = LimitedReader(spec.input.load_reader(), self._stopwatch)
        super().__init__(
            _ReadOtherwise(**_fields(spec), reader=self._limited),
            staging,
            TimedModel(model, self._stopwatch),
            watch=TimedWatch(watch, self._stopwatch),
            **more,
        )
        self._decoder = self._stopwatch.timed("decode", self._decoder)
        self._results = cast(Any, TimedResults(self._results, self._stopwatch))
        self._given = (spec, staging, model, watch)
        self._signature = model.signature
        self._others: dict[int, Sampler] = {}

    def __call__(self, task: Task) -> Manifest | None:
        batch_size = task.batch_size if isinstance(task, SampleTask) else None
        if batch_size is not None and batch_size != self._spec.batch_size:
            return self._other(batch_size)(task)
        _forget_peak()
        self._stopwatch.begin()
        self._limited.begin(task)
        manifest = super().__call__(task)
        if manifest is None:
            return None
        return Measured(
            **_fields(manifest),
            spans=tuple(self._limited.spans),
            stages=self._stopwatch.stages(manifest.node_seconds - manifest.load_seconds),
            peak_bytes=_peak_bytes(),
            signature=self._signature,
        )

    def _other(self, batch_size: int) -> Sampler:
        """The same for another batch size; its scorer begins anew, as in a job."""
        if batch_size not in self._others:
            spec, staging, model, watch = self._given
            self._others[batch_size] = Sampler(replace(spec, batch_size=batch_size), staging, model, watch=watch)
        return self._others[batch_size]


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, as they are."""
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _forget_peak() -> None:
    """Have the peak of this process's memory begin at what it is now, where Linux allows it."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
