"""Documents that are legal, to be broken one rule at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.errors import InvalidJob
from batchpredict.job import Job

Document = dict[str, Any]
Faults = Callable[..., list[tuple[str, str]]]


def _with(document: Document, changes: Document) -> Document:
    """`document` with `changes`; Ellipsis takes a field away."""
    merged = copy.deepcopy({**document, **changes})
    return {name: value for name, value in merged.items() if value is not ...}


def faults_of(document: Any) -> list[tuple[str, str]]:
    """What `Job.parse` finds wrong with `document`: pairs of field and description."""
    try:
        Job.parse(document)
    except InvalidJob as error:
        return [(violation.field, violation.description) for violation in error.violations]
    return []


@pytest.fixture
def prediction_input() -> Document:
    return {
        "dataFormat": "TEXT",
        "inputPaths": ["gs://bucket/in/*"],
        "outputPath": "gs://bucket/out",
        "region": "us-central1",
        "modelName": "projects/p/models/census",
    }


@pytest.fixture
def training_input() -> Document:
    return {
        "scaleTier": "BASIC",
        "packageUris": ["gs://bucket/trainer-0.1.tar.gz"],
        "pythonModule": "trainer.task",
        "region": "us-central1",
    }


@pytest.fixture
def prediction(prediction_input: Document) -> Callable[..., Document]:
    """A prediction job whose input has some fields changed."""
    return lambda **changes: {"jobId": "scores_1", "predictionInput": _with(prediction_input, changes)}


@pytest.fixture
def training(training_input: Document) -> Callable[..., Document]:
    """A training job whose input has some fields changed."""
    return lambda **changes: {"jobId": "train_1", "trainingInput": _with(training_input, changes)}


@pytest.fixture
def prediction_faults(prediction: Callable[..., Document]) -> Faults:
    """What is wrong with a prediction job whose input has some fields changed."""
    return lambda **changes: faults_of(prediction(**changes))


@pytest.fixture
def training_faults(training: Callable[..., Document]) -> Faults:
    """What is wrong with a training job whose input has some fields changed."""
    return lambda **changes: faults_of(training(**changes))


@pytest.fixture
def faults() -> Faults:
    return faults_of
