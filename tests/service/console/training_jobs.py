"""Training jobs as the store has them, made without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.console_support import PROJECT, World

from batchpredict.service.store import NewJob

PARAMETERS: Sequence[Mapping[str, Any]] = (
    {
        "parameterName": "rate",
        "type": "DOUBLE",
        "minValue": 0.0001,
        "maxValue": 1,
        "scaleType": "UNIT_LOG_SCALE",
    },
    {"parameterName": "units", "type": "INTEGER", "minValue": 8, "maxValue": 64},
    {"parameterName": "activation", "type": "CATEGORICAL", "categoricalValues": ["relu", "tanh"]},
)


def training(
    shop: World, job_id: str, *, search: bool = False, params: Sequence[Mapping[str, Any]] = PARAMETERS, **more: Any
) -> dict[str, Any]:
    """Create a queued training job; its trainingInput."""
    asked: dict[str, Any] = {
        "scaleTier": "STANDARD_1",
        "region": "local",
        "pythonModule": "trainer.task",
        "packageUris": [f"{shop.root}/trainer.tar.gz"],
        "jobDir": f"{shop.root}/{job_id}",
        **more,
    }
    if search:
        asked["hyperparameters"] = {
            "goal": "MINIMIZE",
            "hyperparameterMetricTag": "loss",
            "maxTrials": 10,
            "maxParallelTrials": 2,
            "params": list(params),
        }
    shop.store.create_job(NewJob(PROJECT, job_id, {"trainingInput": asked}, creator="user:ann@x.org"))
    return asked


def replica(name: str, state: str = "running", restarts: int = 0, status: int | None = None) -> dict[str, Any]:
    return {"name": name, "state": state, "restarts": restarts, "host": "host-1", "status": status}


def progress(replicas: Sequence[Mapping[str, Any]], done: int | None = None, total: int = 10) -> dict[str, Any]:
    """As a worker reports it; of a search with `done` trials of `total`."""
    up = sum(one["state"] == "running" for one in replicas)
    return {
        "done": up if done is None else done,
        "total": len(replicas) if done is None else total,
        "workers": up,
        "restarts": sum(one["restarts"] for one in replicas),
        "replicas": list(replicas),
    }


def trial(
    number: int, objective: float | None, values: Mapping[str, str], *, ended: int | None = None, **more: Any
) -> dict[str, Any]:
    """A trial on the wire that ended at second `ended` of a minute, after ten; its number by default."""
    second = number if ended is None else ended
    document = {
        "trialId": str(number),
        "hyperparameters": dict(values),
        "state": "SUCCEEDED",
        "startTime": f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        "endTime": f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.500Z",
        **more,
    }
    if objective is not None:
        document["finalMetric"] = {"trainingStep": "40", "objectiveValue": objective}
    return document


def output(*trials: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trials": list(trials),
        "completedTrialCount": str(len(trials)),
        "consumedMLUnits": 1.25,
        "isHyperparameterTuningJob": True,
        "hyperparameterMetricTag": "loss",
    }


THREE = (
    trial(2, 0.25, {"rate": "0.01", "units": "32", "activation": "tanh"}),
    trial(3, 0.5, {"rate": "0.1", "units": "16", "activation": "relu"}, isTrialStoppedEarly=True),
    trial(1, 0.75, {"rate": "0.001", "units": "8", "activation": "relu"}),
    trial(4, None, {"rate": "1", "units": "64", "activation": "relu"}, state="FAILED"),
)
"""Trials best first; the last one has failed."""
