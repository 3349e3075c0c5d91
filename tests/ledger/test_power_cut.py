"""A power cut at any moment of a job: afterwards the results are whole, or the job says that they are not."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest
import support
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from power import Choice, Machine, chance, names_only, nothing

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger import plan
from batchpredict.prediction.prepare import Prepared, prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task

Files = dict[str, bytes]


class Job:
    """A small job: three splits on two pages, two of them with errors."""

    def __init__(self, folder: str) -> None:
        rows = [str(number) for number in range(30)]
        rows[3] = rows[25] = "bad"
        self._source = support.write(os.path.join(folder, "in.json"), rows)
        self.disk = os.path.join(folder, "disk")
        # Three folders that have to be made.
        self.output = os.path.join(self.disk, "of", "mine", "out")
        self.start_anew()
        support.score_in_process(self.document(os.path.join(folder, "whole")))
        self.whole = support.published(os.path.join(folder, "whole"))

    def document(self, output: str | None = None, split_bytes: int = 30) -> support.Document:
        return support.job(support.model("double"), self._source, output or self.output, splitBytes=split_bytes)

    def start_anew(self) -> None:
        shutil.rmtree(self.disk, ignore_errors=True)
        os.makedirs(self.disk)

    def scored(self, *, fresh: bool = False) -> Prepared:
        """The job, all of it committed and nothing published."""
        prepared = prepare(Request(support.spec_of(self.document()), fresh=fresh, overwrite=True))
        predict = support.predictor_of(prepared)
        for split in support.todo(prepared):
            predict(Task(split))
        return prepared

    def run(self, *, fresh: bool = False) -> None:
        support.score_in_process(self.document(), fresh=fresh, overwrite=True)

    def check(self) -> None:
        """What must hold of the folder whenever somebody looks, and what the next run makes of it."""
        if "_SUCCESS" in support.names(self.output):
            assert self.published() == self.whole
        try:
            self.run()
        except StagingDamaged:
            assert "_SUCCESS" not in support.names(self.output), "a job that has succeeded is not to be damaged"
            self.run(fresh=True)
        assert self.published() == self.whole

    def published(self) -> Files:
        """What a reader sees: names that begin with a dot are none of his."""
        return {name: data for name, data in support.published(self.output).items() if not name.startswith(".")}


@pytest.fixture
def job(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(plan, "_PAGE", 2)
    # Runs whose machine does not fail need not wait for a disk.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return Job(str(tmp_path))


def cuts(
    job: Job, monkeypatch: pytest.MonkeyPatch, score: Callable[[], Prepared], survives: Choice
) -> Iterator[int]:
    """Have the power fail at one moment of a publish after the other, each time in a folder of its own.

    Args:
      score: makes the folder; what of it was synced is known.
    """
    for at in itertools.count():
        job.start_anew()
        machine = Machine(job.disk)
        with machine.running(monkeypatch):
            prepared = score()
            machine.fail(at)
            support.publish_prepared(prepared, overwrite=True)
        machine.power_up(survives)
        yield at
        if not machine.failed:
            return


def test_what_was_created_is_there_with_the_folders_that_were_made_for_it(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(str(tmp_path))
    with machine.running(monkeypatch):
        assert storage.create_if_absent(f"{tmp_path}/a/b/c.json", b"1")
    machine.power_up(nothing)
    assert storage.read_bytes(f"{tmp_path}/a/b/c.json") == b"1"


@pytest.mark.long
@pytest.mark.parametrize("survives", [nothing, names_only])
class TestPublish:
    def test_of_a_first_run(self, survives: Choice, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        moments = 0
        for _ in cuts(job, monkeypatch, job.scored, survives):
            moments += 1
            job.check()
        assert moments > 30

    def test_after_everything_was_scored_afresh(
        self, survives: Choice, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def score() -> Prepared:
            """The folder is this job's, and has some results of it, of which one is cut."""
            support.publish_prepared(job.scored())
            os.remove(os.path.join(job.output, "_SUCCESS"))
            os.truncate(os.path.join(job.output, "prediction.results-00001-of-00003"), 3)
            return job.scored(fresh=True)

        for _ in cuts(job, monkeypatch, score, survives):
            job.check()

    def test_over_the_results_of_another_job(
        self, survives: Choice, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def score() -> Prepared:
            # Of as many splits, so that its files have the same names.
            support.score_in_process(job.document(split_bytes=25))
            return job.scored()

        score()
        others = job.published()
        for _ in cuts(job, monkeypatch, score, survives):
            if "_SUCCESS" in support.names(job.output) and job.published() == others:
                job.run()
            job.check()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 1000), st.booleans()), max_size=3))
def test_any_power_cuts_in_a_row(cut: list[tuple[int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(plan, "_PAGE", 2)
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        job = Job(folder)
        for at, seed, fresh in cut:
            machine = Machine(job.disk)
            machine.fail(at)
            try:
                with machine.running(monkeypatch):
                    job.run(fresh=fresh)
            except StagingDamaged:
                continue
            machine.power_up(chance(seed))
        job.check()


@pytest.mark.parametrize("kind", ["results", "errors"])
def test_a_file_that_is_cut_when_a_publish_has_begun_is_not_taken_for_whole(
    kind: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is this job's by then, and whatever stands under a name of its own was taken for published."""
    tried = set()
    for _ in cuts(job, monkeypatch, job.scored, lambda _: True):
        parts = support.planned(job.document())[1].parts
        for folder in (job.output, parts):
            names = [name for name in storage.list_names(folder) if kind in name and "stats" not in name]
            if names and "_SUCCESS" not in support.names(job.output):
                os.truncate(os.path.join(folder, names[0]), 2)
                tried.add(folder)
        job.check()
    assert tried == {job.output, parts}
