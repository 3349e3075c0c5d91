"""The search for hyperparameters: its space, what to try next, what trials measure, which to stop early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.training.tuning.metrics import MetricTail
    from batchpredict.training.tuning.output import to_output
    from batchpredict.training.tuning.space import Space, Value, Values
    from batchpredict.training.tuning.stopping import is_hopeless
    from batchpredict.training.tuning.study import Outlook, Study
    from batchpredict.training.tuning.trial import Metric, Trial, TrialState

__all__ = [
    "Metric",
    "MetricTail",
    "Outlook",
    "Space",
    "Study",
    "Trial",
    "TrialState",
    "Value",
    "Values",
    "is_hopeless",
    "to_output",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Metric": "trial",
            "MetricTail": "metrics",
            "Outlook": "study",
            "Space": "space",
            "Study": "study",
            "Trial": "trial",
            "TrialState": "trial",
            "Value": "space",
            "Values": "space",
            "is_hopeless": "stopping",
            "to_output": "output",
        },
    )
