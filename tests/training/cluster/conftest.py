from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.errors import InvalidJob
from batchpredict.job import Job, TrainingInput
from batchpredict.training.cluster import Cluster


@pytest.fixture
def training() -> Callable[..., TrainingInput]:
    """A trainingInput with some fields changed, read as a job is."""

    def read(**changes: Any) -> TrainingInput:
        asked = {"scaleTier": "BASIC", "packageUris": ["p.whl"], "pythonModule": "trainer.task", "region": "r"}
        job = Job.parse({"jobId": "j", "trainingInput": {**asked, **changes}})
        assert job.training_input is not None
        return job.training_input

    return read


@pytest.fixture
def faults(training: Callable[..., TrainingInput]) -> Callable[..., list[tuple[str, str]]]:
    """(field, description) of what is wrong with a trainingInput, by the rules of the job and of the cluster."""

    def found(**changes: Any) -> list[tuple[str, str]]:
        try:
            Cluster.of(training(**changes))
        except InvalidJob as error:
            return [
                (violation.field.removeprefix("training_input."), violation.description)
                for violation in error.violations
            ]
        return []

    return found
