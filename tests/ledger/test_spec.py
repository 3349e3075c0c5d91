"""The resolved form of a job."""

from __future__ import annotations

import gzip

import support

from batchpredict.ledger import plan


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


def test_a_file_that_was_not_seen_to_be_compressed_makes_another_job(tmp_path, monkeypatch):
    """The splits that a version without an eye for capitals committed must not meet those of this one."""

    def fingerprint(name: str) -> str:
        document = support.job(support.DIGITS_MODEL, str(tmp_path / name), str(tmp_path / "out"))
        return support.planned(document)[0].fingerprint

    names = ["a.json.gz", "b.json.GZ", "c.json"]
    for name in names:
        support.write(tmp_path / name, gzip.compress(b"1\n"))
    now = [fingerprint(name) for name in names]
    monkeypatch.setattr(plan, "suffix_in_capitals", lambda url: False)
    assert [one == other for one, other in zip(now, map(fingerprint, names), strict=True)] == [True, False, True]
