"""A job that is gone on with where its replicas meet elsewhere than before."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from batchpredict.job import Job
from batchpredict.training import hosting
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.spec import TrainingSpec

WAITING = "service: Waiting until nothing of an earlier run can be left."


@pytest.fixture
def quiet(monkeypatch) -> float:
    """Seconds after which nothing of a lost host runs any more."""
    rules = replace(hosting._HERE, beat=0.3, lease=1.5, end_grace=0.5, slack=0.2)
    monkeypatch.setattr(hosting, "_HERE", rules)
    return rules.quiet


def begun_by(jobs, meeting_place: str) -> None:
    """As if a job had begun this, whose replicas meet there, and was lost."""
    spec = TrainingSpec.of(Job.submitted(jobs.job("--steps", "1")))
    TrainingFolder.of(jobs.job_dir, spec.fingerprint()).begin(time.time(), meeting_place)


def test_replicas_that_nobody_here_hears_of_are_waited_for(jobs, quiet):
    begun_by(jobs, "https://h/internal/v1/projects/p/jobs/lost/rendezvous")
    began = time.monotonic()
    jobs.train("--steps", "1")
    assert time.monotonic() - began >= quiet
    assert WAITING in jobs.seen.messages


def test_those_of_the_same_place_are_not(jobs, quiet):
    begun_by(jobs, "")
    jobs.train("--steps", "1")
    assert WAITING not in jobs.seen.messages
