"""What a search says where its packages are not installed."""

from __future__ import annotations

import sys

import pytest

from batchpredict.errors import JobFailed
from batchpredict.job import Job
from batchpredict.training.tuning import Study


def test_the_packages_of_the_extra_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith("batchpredict.training.tuning.replay")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "batchpredict.training.tuning.sampler", raising=False)
    params = [{"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1}]
    training = {
        "scaleTier": "BASIC",
        "region": "r",
        "pythonModule": "m",
        "packageUris": ["p"],
        "hyperparameters": {"params": params},
    }
    source = Job.submitted({"jobId": "j", "trainingInput": training}).training_input
    assert source is not None
    assert source.hyperparameters is not None
    with pytest.raises(JobFailed, match=r"pip install 'batchpredict\[train\]'"):
        Study(source.hyperparameters, seed=1).ask([])
