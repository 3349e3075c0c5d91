"""Batch prediction with SavedModels on Apache Beam: exact counts, named errors, jobs that resume.

`predict` runs a prediction `Job`. `BatchPredict` is the same as a Beam transform. All exceptions are in `errors`,
and here by name. Neither TensorFlow nor Beam is imported before something is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchpredict import errors
from batchpredict.errors import (
    BatchPredictError,
    BudgetSpent,
    InvalidJob,
    JobCancelled,
    JobFailed,
    ModelUnusable,
    NoInput,
    OutputRefused,
    RunnerFailed,
    StagingDamaged,
    UnknownFlag,
    Violation,
    WorkerLost,
    WrongCall,
    WrongFlag,
)

if TYPE_CHECKING:
    from batchpredict.api import predict
    from batchpredict.job import Job, PredictionOutput
    from batchpredict.ledger.progress import Snapshot
    from batchpredict.prediction.transforms import BatchPredict
    from batchpredict.runners import Observer

__version__ = "0.1.0"

__all__ = [
    "BatchPredict",
    "BatchPredictError",
    "BudgetSpent",
    "InvalidJob",
    "Job",
    "JobCancelled",
    "JobFailed",
    "ModelUnusable",
    "NoInput",
    "Observer",
    "OutputRefused",
    "PredictionOutput",
    "RunnerFailed",
    "Snapshot",
    "StagingDamaged",
    "UnknownFlag",
    "Violation",
    "WorkerLost",
    "WrongCall",
    "WrongFlag",
    "__version__",
    "errors",
    "predict",
]

_HOMES = {
    "BatchPredict": "batchpredict.prediction.transforms",
    "Job": "batchpredict.job",
    "Observer": "batchpredict.runners",
    "PredictionOutput": "batchpredict.job",
    "Snapshot": "batchpredict.ledger.progress",
    "predict": "batchpredict.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
