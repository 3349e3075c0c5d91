"""A prediction job as work for runners, and its pipeline as a Beam transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.prediction.early import end_early, start_early
    from batchpredict.prediction.request import Placement, Request
    from batchpredict.prediction.transforms import BatchPredict
    from batchpredict.prediction.work import PredictionWork

__all__ = [
    "BatchPredict",
    "Placement",
    "PredictionWork",
    "Request",
    "end_early",
    "start_early",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "BatchPredict": "transforms",
            "Placement": "request",
            "PredictionWork": "work",
            "Request": "request",
            "end_early": "early",
            "start_early": "early",
        },
    )
