"""The exit status that follows from each error."""

from __future__ import annotations

import inspect

import pytest

from batchpredict import errors
from batchpredict.launch import FAILED, INTERRUPTED, SUCCEEDED, TERMINATED, WRONG_CALL, status_of

STATUSES = {
    "BatchPredictError": FAILED,
    "InvalidJob": WRONG_CALL,
    "InvalidName": FAILED,
    "IllegalTransition": FAILED,
    "JobFailed": FAILED,
    "NoInput": FAILED,
    "OutputRefused": FAILED,
    "ModelUnusable": FAILED,
    "BudgetSpent": FAILED,
    "InstallFailed": FAILED,
    "DeviceFailed": FAILED,
    "WorkerLost": FAILED,
    "StagingDamaged": FAILED,
    "RunnerFailed": FAILED,
    "JobCancelled": FAILED,
    "WrongCall": WRONG_CALL,
    "WrongFlag": WRONG_CALL,
    "UnknownFlag": WRONG_CALL,
    "NoMatch": FAILED,
    "NotListed": FAILED,
}


def test_there_is_one_for_every_error():
    ours = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.BatchPredictError)
    }
    assert ours == set(STATUSES)


@pytest.mark.parametrize("name", STATUSES)
def test_the_status_of(name):
    kind = getattr(errors, name)
    error = kind([errors.Violation("f", "no")]) if name == "InvalidJob" else kind("no")
    assert status_of(error) == STATUSES[name]


def test_what_shells_know():
    assert (SUCCEEDED, FAILED, WRONG_CALL, INTERRUPTED, TERMINATED) == (0, 1, 2, 130, 143)
