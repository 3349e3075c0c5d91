"""Batch prediction with SavedModels on Apache Beam: exact counts, named errors, jobs that resume.

`predict` runs a prediction `Job` on this machine. `BatchPredict` is the same as a Beam transform. Neither
TensorFlow nor Beam is imported before something is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchpredict.api import predict
    from batchpredict.job import Job, PredictionOutput
    from batchpredict.prediction.transforms import BatchPredict

__version__ = "0.1.0"

__all__ = ["BatchPredict", "Job", "PredictionOutput", "__version__", "predict"]

_HOMES = {
    "BatchPredict": "batchpredict.prediction.transforms",
    "Job": "batchpredict.job",
    "PredictionOutput": "batchpredict.job",
    "predict": "batchpredict.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
