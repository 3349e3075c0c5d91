"""Workers: whoever claims jobs and runs each in a process group of its own.

worker = JobWorker(store, WorkerOptions.of(settings))
worker.run()                       # until `stop` is called, from a signal handler or another thread
worker.start(); …; worker.stop()   # the same in a thread of its own
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.service.worker.loop import JobWorker
    from batchpredict.service.worker.options import WorkerOptions

# The guard and the job process are of this package too, and need neither.
__all__ = [
    "JobWorker",
    "WorkerOptions",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(__name__, {"JobWorker": "loop", "WorkerOptions": "options"})
