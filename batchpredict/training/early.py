"""The hosting of a job in this process, begun before its pipeline: Beam takes seconds to be imported, in which a
trainer can be started, and a short one has ended.

The pipeline's step finds it here and waits for it, as if it hosted the job itself.
"""

from __future__ import annotations

import threading

from batchpredict.errors import BatchPredictError, JobFailed
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.hosting import Wanted, host
from batchpredict.training.spec import TrainingSpec

_guard = threading.Lock()
_hostings: dict[str, Hosting] = {}


class Hosting:
    """Hosts all of a job in a thread of its own, until it is over or not wanted any more."""

    def __init__(self, spec: TrainingSpec, folder: TrainingFolder, wanted: Wanted) -> None:
        self._spec = spec
        self._folder = folder
        self._wanted = wanted
        self._over = threading.Event()
        self._error: BatchPredictError | None = None
        with _guard:
            _hostings[folder.url] = self
        self._thread = threading.Thread(target=self._run, name="training-host", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end. Raises BatchPredictError: why the job has failed."""
        self._over.wait(seconds)
        if self._error is not None:
            raise self._error

    def forget(self, seconds: float) -> None:
        """Nobody asks for it any more; wait for its end for a while."""
        with _guard:
            if _hostings.get(self._folder.url) is self:
                del _hostings[self._folder.url]
        self._over.wait(seconds)

    def _run(self) -> None:
        try:
            host(self._spec, self._folder, self._wanted, away=False)
        except BatchPredictError as error:
            self._error = error
        except BaseException as error:
            self._error = JobFailed(f"The job failed: {type(error).__name__}: {error}")
            self._error.__cause__ = error
        finally:
            self._over.set()


def begun(folder: str) -> Hosting | None:
    """The hosting of the job in this folder that was begun in this process."""
    with _guard:
        return _hostings.get(folder)
