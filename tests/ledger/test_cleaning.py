"""What jobs have left behind goes when nobody needs it, and nothing else does."""

from __future__ import annotations

import datetime
import json
import os
import time
from typing import Any

import pytest
import support
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.cli import main
from batchpredict.errors import OutputRefused
from batchpredict.ledger.cleaning import Leftover, find_leftovers, leftovers, remove
from batchpredict.prediction.prepare import Prepared, prepare
from batchpredict.prediction.request import PLAN, Request
from batchpredict.runners import Channel
from batchpredict.scoring.task import Task
from batchpredict.storage import AgedFile, walk

DAY = 86400.0
OLD = time.time() - 30 * DAY
WEEK_AGO = time.time() - 7 * DAY
TMP = f".{'a' * 32}.tmp"


def document(source: str, output: str, **fields: Any) -> support.Document:
    return support.job(support.model("double"), source, output, splitBytes=30, **fields)


@pytest.fixture
def source(tmp_path: Any) -> str:
    return support.write(tmp_path / "in.json", map(str, range(30)))


def abandoned(source: str, output: str, **fields: Any) -> Prepared:
    """A job that was given up when a part of it was done."""
    prepared = prepare(Request(support.spec_of(document(source, output, **fields)), overwrite=True))
    support.predictor_of(prepared)(Task(support.split(prepared, 0)))
    return prepared


def make_old(folder: str, seconds: float = OLD) -> None:
    for path, _, files in os.walk(folder):
        for name in (*files, "."):
            os.utime(os.path.join(path, name), (seconds, seconds))


def clean(output: str, before: float = WEEK_AGO) -> dict[str, str]:
    """Clean a folder; kinds by path."""
    found = find_leftovers(output, before)
    for one in found:
        remove(output, one)
    assert find_leftovers(output, before) == []
    return {one.path: one.kind for one in found}


class TestStaging:
    def test_of_a_job_that_was_given_up_goes(self, source: str, out: str) -> None:
        job = abandoned(source, out)
        make_old(out)
        assert clean(out) == {f"_batchpredict/{job.plan.fingerprint}": "staging"}
        assert os.listdir(os.path.join(out, "_batchpredict")) == []

    def test_of_one_that_has_changed_lately_stays_and_the_job_goes_on(self, source: str, out: str) -> None:
        abandoned(source, out)
        make_old(out)
        job = abandoned(source, out, batchSize=7)
        assert job.plan.fingerprint not in str(clean(out))
        assert len(list(support.todo(prepare(job.request)))) == job.plan.splits - 1

    def test_one_recent_file_is_enough(self, source: str, out: str) -> None:
        job = abandoned(source, out)
        make_old(out)
        os.utime(os.path.join(job.staging.manifests, "00000000.json"))
        assert clean(out) == {}

    def test_of_the_results_that_stand_there_stays_however_old(self, source: str, out: str) -> None:
        first = support.score_in_process(document(source, out))
        abandoned(source, out, batchSize=7)
        make_old(out)
        assert list(clean(out).values()) == ["staging"]
        assert support.score_in_process(document(source, out)) == first

    def test_of_a_publish_that_was_interrupted_stays_too(self, source: str, out: str) -> None:
        first = support.score_in_process(document(source, out))
        os.remove(os.path.join(out, "_SUCCESS"))
        make_old(out)
        assert clean(out) == {}
        assert support.counts(support.score_in_process(document(source, out))) == support.counts(first)

    def test_on_a_store(self, source: str, memory: str) -> None:
        job = abandoned(source, memory)
        assert clean(memory) == {}
        root = MemoryFileSystem._strip_protocol(job.staging.root)
        for path, file in MemoryFileSystem.store.items():
            if path.startswith(root):
                file.created = file.modified = datetime.datetime.fromtimestamp(OLD, datetime.timezone.utc)
        assert clean(memory) == {f"_batchpredict/{job.plan.fingerprint}": "staging"}
        assert list(walk(memory)) == []


class TestLeftovers:
    def test_temporary_files_and_interrupted_deletions_go(self, source: str, out: str) -> None:
        support.score_in_process(document(source, out))
        (owner,) = [name for name in os.listdir(f"{out}/_batchpredict") if name != "owner.json"]
        names = [
            f"{out}/{TMP}",
            f"{out}/_batchpredict/{TMP}",
            f"{out}/_batchpredict/{owner}/manifests/{TMP}",
            f"{out}/_batchpredict/{'0' * 16}.12345678.deleted/parts/x",
            f"{out}/_batchpredict/{owner}/parts.12345678.deleted/x",
        ]
        for name in names:
            support.write(name, "x")
        os.makedirs(f"{out}/_batchpredict/{'1' * 16}.12345678.deleted/parts")
        assert clean(out) == {}
        make_old(out)
        assert sorted(clean(out).values()) == [*["interrupted deletion"] * 3, *["temporary file"] * 3]
        assert not any(os.path.exists(name) for name in names)
        assert support.counts(support.score_in_process(document(source, out))) == (30, 0)

    def test_parts_that_came_too_late_go_once_the_results_are_complete(self, source: str, out: str) -> None:
        support.score_in_process(document(source, out))
        (owner,) = [name for name in os.listdir(f"{out}/_batchpredict") if name != "owner.json"]
        support.write(f"{out}/_batchpredict/{owner}/parts/late", "x")
        make_old(out)
        os.rename(f"{out}/_SUCCESS", f"{out}/aside")
        assert clean(out) == {}
        os.rename(f"{out}/aside", f"{out}/_SUCCESS")
        assert clean(out) == {f"_batchpredict/{owner}/parts": "parts"}

    def test_files_of_others_stay(self, source: str, out: str) -> None:
        others = ("notes.tmp", ".hidden", "in.deleted/x", "_batchpredict/notes/x", f"mine/{TMP}", f"{'0' * 16}/x")
        for name in others:
            support.write(f"{out}/{name}", "x")
        make_old(out)
        assert clean(out) == {}

    def test_of_an_empty_or_missing_folder_there_are_none(self, out: str, memory: str) -> None:
        assert clean(out) == clean(memory) == {}

    def test_a_folder_that_cannot_be_read_is_named(self, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> Any:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "walk", refuse)
        with pytest.raises(OutputRefused, match="outputPath: cannot read"):
            find_leftovers(out, WEEK_AGO)


class TestSubmissions:
    def test_of_a_pipeline_that_nobody_runs_go(self, source: str, out: str) -> None:
        submission = Channel(f"{out}/_batchpredict/submissions/abc")
        submission.begin()
        submission.stop()
        other = Channel(f"{out}/_batchpredict/submissions/def")
        other.begin()
        make_old(out)
        other.tell(PLAN, {"fingerprint": "f" * 16})
        assert clean(out) == {"_batchpredict/submissions/abc": "submission"}
        assert other.begun()
        assert not submission.stopped()

    def test_of_one_whose_job_has_committed_lately_stay(self, source: str, out: str) -> None:
        job = abandoned(source, out)
        submission = Channel(f"{out}/_batchpredict/submissions/abc")
        submission.begin()
        submission.tell(PLAN, {"fingerprint": job.plan.fingerprint})
        make_old(f"{out}/_batchpredict/submissions")
        assert clean(out) == {}
        make_old(out)
        assert sorted(clean(out).values()) == ["staging", "submission"]


FOLDERS = ["_batchpredict", "a" * 16, "b" * 16, "parts", "submissions", "c.12345678.deleted"]
PARTS = st.sampled_from([*FOLDERS, "owner.json", "x.begun.json", TMP])
ENTRIES = st.lists(
    st.builds(
        AgedFile,
        st.lists(PARTS, min_size=1, max_size=4).map("/".join),
        st.integers(0, 9),
        st.none() | st.floats(0, 100, allow_nan=False),
    ),
    max_size=12,
)


@given(ENTRIES, st.floats(0, 100), st.none() | st.just("a" * 16), st.booleans())
def test_what_is_recent_or_the_owners_never_goes(
    entries: list[AgedFile], before: float, owner: str | None, done: bool
) -> None:
    def goes(path: str, one: Leftover) -> bool:
        return path in one.files or (not one.files and path.startswith(f"{one.path}/"))

    found = list(leftovers(entries, before, owner=owner, done=done, plans={}))
    for entry in entries:
        for one in found:
            if goes(entry.path, one):
                assert entry.changed is not None
                assert entry.changed < before
                assert owner is None or not entry.path.startswith(f"_batchpredict/{owner}/manifests")
                assert not entry.path.endswith("_batchpredict/owner.json") or one.kind != "temporary file"


class TestCommand:
    def run(self, capsys: Any, *arguments: str) -> tuple[int, str]:
        status = main(["clean", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    def test_shows_what_it_would_do_and_does_it(self, source: str, out: str, capsys: Any) -> None:
        job = abandoned(source, out)
        make_old(out)
        status, said = self.run(capsys, out, "--dry-run")
        assert (status, said.startswith(f"would remove staging {job.staging.root} (")) == (0, True)
        assert os.path.exists(job.staging.root)
        status, said = self.run(capsys, out, "--format", "json")
        (removed,) = json.loads(said)["removed"]
        assert (removed["kind"], removed["path"], removed["files"]) == ("staging", job.staging.root, 5)
        assert removed["changed"].endswith("Z")
        assert not os.path.exists(job.staging.root)
        assert self.run(capsys, out) == (0, "nothing to remove\n")

    def test_takes_an_age(self, source: str, out: str, capsys: Any) -> None:
        abandoned(source, out)
        make_old(out, time.time() - 3 * 3600)
        assert self.run(capsys, out, "--older-than", "4h") == (0, "nothing to remove\n")
        assert self.run(capsys, out, "--older-than=2h", "--dry-run")[1].startswith("would remove staging")

    @pytest.mark.parametrize("text", ["7", "d", "-1d", "1w", "1.5d"])
    def test_says_what_an_age_is(self, text: str, out: str, capsys: Any) -> None:
        with pytest.raises(SystemExit):
            main(["clean", out, f"--older-than={text}"])
        assert "is no age; write 7d, 12h, 30m or 90s" in capsys.readouterr().err

    def test_wants_something_to_clean(self, capsys: Any) -> None:
        assert self.run(capsys) == (2, "batchpredict clean: give an output folder, or --cache, or both\n")

    @pytest.mark.parametrize("name", ["nowhere", "file"])
    def test_that_has_no_folder_says_so(self, name: str, tmp_path: Any, capsys: Any) -> None:
        support.write(tmp_path / "file", "x")
        path = str(tmp_path / name)
        assert self.run(capsys, path) == (2, f"batchpredict clean: there is no folder '{path}'\n")
