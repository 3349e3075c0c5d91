"""The resolved form of a job."""

from __future__ import annotations

import support


def fingerprint(**fields) -> str:
    document = support.job(support.DIGITS_MODEL, support.digits("text", "*"), "out", **fields)
    return support.planned(document)[0].fingerprint


def test_on_which_machines_a_job_runs_is_not_part_of_it():
    """So a job that was begun on one runner goes on on another."""
    hardware = {"workerType": "n1-standard-4", "accelerator": {"type": "t4"}, "maxWorkerCount": 3}
    assert fingerprint(region="europe-west1", **hardware) == fingerprint(region="local")
    assert fingerprint(batchSize=3) != fingerprint()


def test_a_count_of_accelerators_may_be_left_out():
    document = support.job("m", "in", "out", accelerator={"type": "t4"})
    spec = support.spec_of(document)
    assert (spec.accelerator, spec.accelerator_count) == ("t4", 1)
    assert support.spec_of(support.job("m", "in", "out")).accelerator_count == 0
