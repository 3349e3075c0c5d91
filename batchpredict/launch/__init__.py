"""From a Job resource to the end of it, for every way in: the command, the Python call, the pipelines.

What a job file is, which work a job stands for, how signals end it, and which exit status follows, is written here,
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

# Light enough for `--help`. And the function `carry` is bound here at once: its module has the same name.
from batchpredict.launch.carry import (
    Lines,
    Report,
    Reporter,
    Terminated,
    by_task,
    carry,
    ending_at_once,
    raise_when_terminated,
    refuse,
    silence_logs,
    stopped_early,
)
from batchpredict.launch.status import FAILED, INTERRUPTED, SUCCEEDED, TERMINATED, WRONG_CALL, status_of

if TYPE_CHECKING:
    from batchpredict.launch.document import load_job, read_document
    from batchpredict.launch.works import make_ready, prediction_work, training_work, work_of

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "SUCCEEDED",
    "TERMINATED",
    "WRONG_CALL",
    "Lines",
    "Report",
    "Reporter",
    "Terminated",
    "by_task",
    "carry",
    "ending_at_once",
    "load_job",
    "make_ready",
    "prediction_work",
    "raise_when_terminated",
    "read_document",
    "refuse",
    "silence_logs",
    "status_of",
    "stopped_early",
    "training_work",
    "work_of",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "load_job": "document",
            "make_ready": "works",
            "prediction_work": "works",
            "read_document": "document",
            "training_work": "works",
            "work_of": "works",
        },
    )
