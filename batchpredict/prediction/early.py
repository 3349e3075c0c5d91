"""Worker processes that are started before there is a job for them, because TensorFlow's import takes seconds."""

from __future__ import annotations

from batchpredict.workers import WorkerProcess, visible_gpus

_early: list[WorkerProcess] = []


def start_early() -> None:
    """Start one for the next job of this process.

    Not where the machine has GPUs: a worker claims one before it imports TensorFlow, and would keep it from others
    while it has nothing to do.
    """
    if not visible_gpus():
        _early.append(WorkerProcess())


def take_early() -> WorkerProcess:
    """The one that was started early; a new one if none was."""
    return _early.pop() if _early else WorkerProcess()


def end_early() -> None:
    """End those that were started early and that no job has taken."""
    while _early:
        _early.pop().close()
