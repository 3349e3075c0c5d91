"""Batch prediction with SavedModels on Apache Beam: exact counts, named errors, jobs that resume; and training.

`predict` runs a prediction `Job`, `train` a training one. `BatchPredict` is a prediction as a Beam transform. All
exceptions are in `errors`, and here by name. Neither TensorFlow nor Beam is imported before something is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict import errors
from batchpredict._lazy import lazily
from batchpredict.errors import (
    BatchPredictError,
    BudgetSpent,
    InstallFailed,
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
    from batchpredict.api import predict, train
    from batchpredict.job import Job, PredictionOutput, TrainingOutput
    from batchpredict.ledger import Snapshot
    from batchpredict.prediction import BatchPredict
    from batchpredict.runners import Observer

__version__ = "0.1.0"

__all__ = [
    "BatchPredict",
    "BatchPredictError",
    "BudgetSpent",
    "InstallFailed",
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
    "TrainingOutput",
    "UnknownFlag",
    "Violation",
    "WorkerLost",
    "WrongCall",
    "WrongFlag",
    "__version__",
    "errors",
    "predict",
    "train",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "BatchPredict": "prediction",
            "Job": "job",
            "Observer": "runners",
            "PredictionOutput": "job",
            "Snapshot": "ledger",
            "TrainingOutput": "job",
            "predict": "api",
            "train": "api",
        },
    )
