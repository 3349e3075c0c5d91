"""A training job that is under way, in the process that submitted it. It is watched by what it leaves."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from batchpredict.errors import BatchPredictError, JobFailed
from batchpredict.job import TrainingOutput
from batchpredict.runners import Channel, Observer
from batchpredict.training.children import end_all
from batchpredict.training.early import Hosting
from batchpredict.training.logs import LogTail
from batchpredict.training.prepare import FINISHED_BEFORE, PLAN, Prepared, prepare
from batchpredict.training.progress import Snapshot, task_name
from batchpredict.training.sight import Sight
from batchpredict.training.spec import TrainingSpec

# A look that takes a second is followed by a rest of so many; and no two are within less than this.
_REST, _SHORTEST = 10.0, 0.5
# Seconds that a job has to come to its end before a pipeline is made, and Beam imported, which takes as long.
# Nobody waits for that, as the job has begun.
_HEAD_START, _HEAD_LOOK = 3.0, 0.02
# Seconds for a host without replicas to leave its workplace.
_CLEARING = 10.0


class _Driver:
    """What both kinds of drivers are: somebody who watches a folder, once it is known."""

    def __init__(self, spec: TrainingSpec, observer: Observer[Snapshot], clock: Callable[[], float]) -> None:
        self._spec = spec
        self._observer = observer
        self._clock = clock
        self._sight: Sight | None = None
        self._tail: LogTail | None = None
        self._next = 0.0
        self._last: Snapshot | None = None

    def _watch(self, prepared: Prepared) -> None:
        self._sight = Sight(self._spec, prepared.folder)
        # What earlier runs have written was shown then. Of this one nothing is: it may be over already.
        self._tail = LogTail(prepared.folder.logs, prepared.logs)

    def unrun(self) -> TrainingOutput:
        return TrainingOutput()

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        began = self._clock()
        if self._sight is None or (not at_once and began < self._next):
            return self._last
        self._show_log()
        self._last = self._sight.look()
        self._rest_after(began)
        return self._last

    def _rest_after(self, began: float) -> None:
        """Look seldom where a look takes long."""
        ended = self._clock()
        self._next = ended + max((ended - began) * _REST, _SHORTEST)

    def sign_of_life(self) -> object:
        # A trainer may compute for hours and say nothing; its hosts say every few seconds that they are there.
        return None if self._sight is None else self._sight.beats()

    def output(self) -> TrainingOutput | None:
        """Raises JobFailed: the job has failed."""
        if self._sight is None:
            return None
        done = self._sight.folder.done()
        if done is None:
            return None
        with contextlib.suppress(OSError, JobFailed):
            # What came last, which nobody may have seen yet.
            last = self.snapshot(at_once=True)
            if last is not None:
                self._observer.progress(last)
        if "error" in done:
            raise JobFailed(str(done["error"]))
        return TrainingOutput.model_validate(done["output"])

    def _show_log(self) -> None:
        if self._tail is not None:
            for line in self._tail.poll():
                self._observer.message(line.text, task_name(line.trial, line.task))


class DriverHere(_Driver):
    """The driver of a job all of whose replicas are processes of this machine."""

    def __init__(
        self,
        spec: TrainingSpec,
        channel: Channel,
        observer: Observer[Snapshot],
        prepared: Prepared,
        *,
        borrowed: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`borrowed`: path of a folder that stands for the jobDir, and is removed at the end; "" for none."""
        super().__init__(spec, observer, clock)
        self._channel = channel
        self._prepared = prepared
        self._borrowed = borrowed
        self._watch(prepared)
        finished = prepared.done is not None
        self._hosting = None if finished else Hosting(spec, prepared.folder, self._is_wanted)

    @classmethod
    def begin(cls, spec: TrainingSpec, channel: Channel, observer: Observer[Snapshot]) -> DriverHere:
        """Prepare a job. Raises JobFailed."""
        borrowed = "" if spec.job_dir else tempfile.mkdtemp(prefix="batchpredict-train-")
        try:
            prepared = prepare(spec, borrowed)
        except BaseException:
            _remove(borrowed)
            raise
        driver = cls(spec, channel, observer, prepared, borrowed=borrowed)
        try:
            driver._begin()
        except BaseException:
            driver.stop()
            driver.close()
            raise
        return driver

    def _begin(self) -> None:
        """Show how the job begins, and for a short one how it ends."""
        if self._prepared.done is not None:
            self._observer.message(FINISHED_BEFORE)
            return
        until = time.monotonic() + _HEAD_START
        shown = None
        while not self.done and time.monotonic() < until:
            with contextlib.suppress(OSError, BatchPredictError):
                seen = self.snapshot(at_once=shown is None)
                if seen is not None and seen is not shown:
                    self._observer.progress(seen)
                    shown = seen
            time.sleep(_HEAD_LOOK)

    @property
    def done(self) -> bool:
        """It was finished before; or is by now, as what takes its time is begun before Beam is imported."""
        return self._hosting is None or self._hosting.over

    def output(self) -> TrainingOutput | None:
        output = super().output()
        if output is None and self._hosting is not None and self._hosting.over:
            # It has failed, and even that could not be written.
            self._hosting.wait()
        return output

    def expand(self, pipeline: Any) -> None:
        from batchpredict.training.steps import transforms

        transforms(pipeline, self._spec, self._channel.url, self._prepared)

    def stop(self) -> None:
        """Whoever hosts sees that it is not wanted, and ends its replicas."""
        self._channel.stop()

    def close(self) -> None:
        end_all(self._prepared.folder.url)
        if self._hosting is not None:
            self._hosting.forget(_CLEARING)
        with contextlib.suppress(OSError, BatchPredictError):
            # Of a job that has failed nobody has asked for the last lines.
            self._show_log()
        _remove(self._borrowed)

    def _is_wanted(self) -> bool:
        return not self._channel.stopped()


class DriverElsewhere(_Driver):
    """The driver of a job whose replicas run on machines of a runner."""

    done = False

    def __init__(
        self,
        spec: TrainingSpec,
        channel: Channel | None,
        observer: Observer[Snapshot],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(spec, observer, clock)
        self._channel = channel

    def expand(self, pipeline: Any) -> None:
        from batchpredict.training.steps import transforms

        transforms(pipeline, self._spec, None if self._channel is None else self._channel.url, None)

    def snapshot(self, *, at_once: bool = False) -> Snapshot | None:
        self._find(at_once=at_once)
        return super().snapshot(at_once=at_once)

    def sign_of_life(self) -> object:
        self._find(at_once=True)
        return super().sign_of_life()

    def output(self) -> TrainingOutput | None:
        with contextlib.suppress(BatchPredictError):
            self._find(at_once=True)
        return super().output()

    def stop(self) -> None:
        """Nothing of the job runs in this process."""

    def close(self) -> None:
        """Nothing is held."""

    def _find(self, *, at_once: bool) -> None:
        """Learn from the pipeline where the job's folder is."""
        now = self._clock()
        if self._sight is not None or self._channel is None or (not at_once and now < self._next):
            return
        document = self._channel.told(PLAN)
        self._rest_after(now)
        if document is not None:
            self._watch(Prepared.of_document(document))
            if document.get("finished"):
                self._observer.message(FINISHED_BEFORE)


def _remove(path: str) -> None:
    if path:
        shutil.rmtree(path, ignore_errors=True)
