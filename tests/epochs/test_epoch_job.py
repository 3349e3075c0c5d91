"""An epoch as a job: over the files of its list, whatever the patterns match by now."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import support

from batchpredict import storage
from batchpredict.epochs.execution import Execution, source_of
from batchpredict.epochs.folder import Folder
from batchpredict.epochs.listing import Observed, Wanted, look
from batchpredict.epochs.state import Epoch, FileList
from batchpredict.errors import NoInput, StagingDamaged
from batchpredict.job import Job, PredictionOutput
from batchpredict.ledger.plan import make_plan
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.runners import Unobserved
from batchpredict.scoring.task import Task


class Here:
    """A runner that does a job in this process, without Beam and worker processes."""

    name = "Here"

    def check(self) -> None:
        pass

    def submit(self, work, observer):
        del observer
        return _Ended(_scored(work._request))


class _Ended:
    def __init__(self, output: PredictionOutput) -> None:
        self._output = output

    def ended(self, seconds: float) -> bool:
        return True

    def snapshot(self, *, at_once: bool = False) -> None:
        return None

    def cancel(self) -> str:
        return ""

    def output(self) -> PredictionOutput:
        return self._output

    def close(self) -> None:
        pass


def _scored(request: Request) -> PredictionOutput:
    prepared = prepare(request)
    if prepared.done is not None:
        return prepared.done
    predict = support.predictor_of(prepared)
    for split in support.todo(prepared):
        predict(Task(split))
    return support.publish_prepared(prepared, predict, overwrite=request.overwrite)


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(str(tmp_path / "out"))


def claimed(folder: Folder, pattern: str) -> FileList:
    observed = Observed()
    found = look(folder, Wanted((pattern,), settle=0.0), lambda url: None, observed, now=0.0, time=2.0**40)
    observed.close()
    assert found.chosen is not None
    return found.chosen


def epoch(files: FileList, pattern: str, **fields) -> Epoch:
    document = support.job(support.model("double"), pattern, "unused", **fields)
    return Epoch(1, files, support.model("double"), source_of(Job.submitted(document)))


def do(folder: Folder, one: Epoch) -> PredictionOutput:
    return Execution(folder, Here())(one, Unobserved())


def test_only_the_files_of_the_list_are_scored_and_only_as_they_were(tmp_path, folder):
    pattern = str(tmp_path / "in" / "*")
    support.write(tmp_path / "in" / "a", "1\n2\n")
    support.write(tmp_path / "in" / "b", "3\n")
    one = epoch(claimed(folder, pattern), pattern)
    support.write(tmp_path / "in" / "c", "4\n")
    output = do(folder, one)
    assert support.counts(output) == (3, 0)
    assert support.results(folder.results(1)) == [{"y": 2.0}, {"y": 4.0}, {"y": 6.0}]
    # Again, it is done, whatever model is said now and whatever has become of the files.
    os.unlink(tmp_path / "in" / "a")
    assert do(folder, replace_model(one, "nowhere")).to_wire() == output.to_wire()


def test_the_longest_id_that_a_job_may_have_leaves_room_for_the_number_of_an_epoch(tmp_path, folder):
    pattern = str(tmp_path / "in" / "*")
    support.write(tmp_path / "in" / "a", "1\n")
    one = epoch(claimed(folder, pattern), pattern)
    assert support.counts(Execution(folder, Here(), job_id="j" * 128)(one, Unobserved())) == (1, 0)


def replace_model(one: Epoch, model: str) -> Epoch:
    return Epoch(one.number, one.list, model, one.source)


def test_a_file_that_has_changed_since_it_was_claimed_fails_the_epoch(tmp_path, folder):
    pattern = str(tmp_path / "in" / "*")
    support.write(tmp_path / "in" / "a", "1\n2\n")
    one = epoch(claimed(folder, pattern), pattern)
    support.write(tmp_path / "in" / "a", "1\n2\n3\n")
    with pytest.raises(NoInput, match="has changed since the job was planned"):
        do(folder, one)


def test_what_a_try_with_another_list_has_published_in_part_is_replaced(tmp_path, folder, monkeypatch):
    pattern = str(tmp_path / "in" / "*")
    support.write(tmp_path / "in" / "a", "1\n")
    support.write(tmp_path / "in" / "b", "2\n")
    one = epoch(claimed(folder, pattern), pattern)
    do(folder, one)
    storage.delete(folder.results(1) + "/_SUCCESS")
    os.unlink(tmp_path / "in" / "b")
    revised = epoch(claimed(folder, pattern), pattern)
    assert support.counts(do(folder, revised)) == (1, 0)
    assert support.results(folder.results(1)) == [{"y": 2.0}]


def test_what_was_committed_and_is_gone_is_done_again_by_the_next_try(tmp_path, folder):
    pattern = str(tmp_path / "in" / "*")
    support.write(tmp_path / "in" / "a", "1\n")
    one = epoch(claimed(folder, pattern), pattern)
    do(folder, one)
    (name,) = support.result_names(folder.results(1))
    storage.delete(f"{folder.results(1)}/{name}")
    with pytest.raises(StagingDamaged):
        do(folder, one)
    again = Epoch(one.number, one.list, one.model, one.source, failures=1, error="StagingDamaged")
    assert support.counts(do(folder, again)) == (1, 0)
    assert support.results(folder.results(1)) == [{"y": 2.0}]


def test_a_list_of_what_a_pattern_matches_is_the_same_job(tmp_path, folder):
    """So no fingerprint of a job has changed."""
    pattern = str(tmp_path / "in" / "*")
    for name in ("a", "b.gz", "c"):
        support.write(tmp_path / "in" / name, b"")
    spec = support.spec_of(support.job(support.model("double"), pattern, str(tmp_path / "out")))
    files = claimed(folder, pattern)
    listed = replace(spec, input_list=folder.list(files.name))
    with make_plan(spec, "m") as one, make_plan(listed, "m") as other:
        assert one.plan.fingerprint == other.plan.fingerprint
        assert list(one.splits()) == list(other.splits())


def test_a_list_that_is_gone_or_no_list_is_named(tmp_path, folder):
    spec = support.spec_of(support.job(support.model("double"), str(tmp_path / "*"), str(tmp_path / "out")))
    for data in (None, b"no list\n", b"{}\n"):
        if data is not None:
            support.write(folder.list("l"), data)
        with pytest.raises(StagingDamaged, match=r"The list of input files .* cannot be read"):
            make_plan(replace(spec, input_list=folder.list("l")), "m")


def test_when_a_file_was_written_is_told_by_local_disks_and_does_not_tell_files_apart(tmp_path):
    url = support.write(tmp_path / "a", b"")
    found = storage.info(url)
    assert found.changed == os.stat(url).st_mtime
    assert found == replace(found, changed=None)


def test_fields_may_be_spelled_either_way():
    asked = {"data_format": "TEXT", "input_paths": ["in"], "output_path": "out", "region": "r", "uri": "m"}
    job = Job.submitted({"job_id": "j", "prediction_input": asked})
    assert source_of(job) == {"dataFormat": "TEXT", "inputPaths": ["in"], "region": "r"}
