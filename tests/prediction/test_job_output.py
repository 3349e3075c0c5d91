"""The output folder: which files, in which order they appear, whose they are, and what an interruption leaves."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
from typing import Any

import pytest
import support
from fsspec.implementations.memory import MemoryFileSystem
from support import score_in_process

from batchpredict import storage
from batchpredict.errors import BudgetSpent, NoInput, OutputRefused, StagingDamaged
from batchpredict.ledger.plan import load_plan
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task
from batchpredict.storage import files

DOUBLE = support.model("double")


@pytest.fixture
def source(tmp_path) -> str:
    """30 lines, two bad ones in different thirds."""
    rows = [str(number) for number in range(30)]
    rows[3] = rows[25] = "bad"
    return support.write(tmp_path / "in.json", rows)


def three_splits(source: str, output: str, **fields) -> support.Document:
    return support.job(DOUBLE, source, output, splitBytes=30, **fields)


NAMES = [
    "_SUCCESS",
    "prediction.errors-00000-of-00002",
    "prediction.errors-00001-of-00002",
    "prediction.errors_stats-00000-of-00001",
    "prediction.results-00000-of-00003",
    "prediction.results-00001-of-00003",
    "prediction.results-00002-of-00003",
]


@pytest.mark.usefixtures("pages")
def test_names_are_the_services(source, out):
    score_in_process(three_splits(source, out))
    assert support.names(out) == NAMES
    assert sorted(os.listdir(out)) == sorted([*NAMES, "_batchpredict"])


def test_more_shards_than_five_digits_of_work_sort_by_name(tmp_path, memory):
    source = support.write(tmp_path / "in.json", map(str, range(100, 230)))
    score_in_process(support.job(DOUBLE, source, memory, splitBytes=4))
    shards = support.result_names(memory)
    assert (shards[0], shards[-1], len(shards)) == (
        "prediction.results-00000-of-00130", "prediction.results-00129-of-00130", 130,
    )  # fmt: skip
    assert [one["y"] for one in support.results(memory)] == [2.0 * number for number in range(100, 230)]


def test_an_output_path_may_end_in_a_slash(source, out):
    score_in_process(three_splits(source, out + "/"))
    assert support.names(out) == NAMES


# Order --------------------------------------------------------------------------------------------------------


class Interrupted(BaseException):
    """The process is gone, as far as the code under test can tell."""


def interrupt() -> None:
    raise Interrupted


class Journal:
    """Every change that the engine makes to storage, in order, and something that happens at one of them.

    Args:
      at: number of the change.
      action: what happens, once; by default the world stops.
      before: it happens before the change, not behind it.
    """

    OPERATIONS = ("create_if_absent", "replace_bytes", "move", "delete", "open_write", "close_written")

    def __init__(self, monkeypatch, at: int | None = None, action=interrupt, *, before: bool = False) -> None:
        self.entries: list[tuple[str, str]] = []
        self.happened = False
        self._at, self._action, self._before = at, action, before
        for name in self.OPERATIONS:
            wrapped = self._wrapped(name, getattr(storage, name))
            monkeypatch.setattr(storage, name, wrapped)
            if name in ("open_write", "close_written"):
                # Where `writing_to` calls them.
                monkeypatch.setattr(files, name, wrapped)

    def _wrapped(self, name, function):
        def step(*arguments, **keywords):
            now = len(self.entries) == self._at and not self.happened
            place = arguments[1] if name == "move" else getattr(arguments[0], "name", arguments[0])
            self.entries.append((name, str(place)))
            opened: Any = arguments[0] if name == "close_written" else None
            try:
                if now and self._before:
                    self._act()
                opened = result = function(*arguments, **keywords)
                if now and not self._before:
                    self._act()
            except Interrupted:
                if hasattr(opened, "close"):
                    opened.close()
                raise
            return result

        return step

    def _act(self) -> None:
        self.happened = True
        self._action()


def test_results_appear_after_the_last_commit_and_success_after_everything(source, out, monkeypatch):
    with monkeypatch.context() as patched:
        journal = Journal(patched)
        score_in_process(three_splits(source, out))
    places = [os.path.relpath(place, out) for _, place in journal.entries]
    last_commit = max(number for number, place in enumerate(places) if "/manifests/" in place)
    visible = [(number, place) for number, place in enumerate(places) if not place.startswith(("_batch", ".."))]
    assert visible[0][0] > last_commit
    assert visible[-1][1] == "_SUCCESS"
    assert sorted({place for _, place in visible}) == NAMES


@pytest.mark.usefixtures("pages")
def test_nothing_is_visible_before_every_split_is_committed(source, out):
    prepared = prepare(Request(support.spec_of(three_splits(source, out))))
    predict = support.predictor_of(prepared)
    for split in support.todo(prepared):
        assert support.names(out) == []
        with pytest.raises(StagingDamaged, match="not committed"):
            support.publish_prepared(prepared)
        predict(Task(split))
    assert support.names(out) == []
    support.publish_prepared(prepared)
    assert support.names(out) == NAMES


def interruptions(make_folder, monkeypatch, start, before):
    """Publish in a new folder again and again, each time stopped at the next change; gives each folder."""
    stop = 0
    while True:
        output = make_folder(stop)
        document, prepared = start(output)
        with monkeypatch.context() as patched:
            Journal(patched, stop, before=before)
            try:
                support.publish_prepared(prepared, overwrite=prepared.request.overwrite)
            except Interrupted:
                pass
            else:
                return
        yield output, document
        stop += 1


def scored(document: support.Document, **options):
    prepared = prepare(Request(support.spec_of(document), **options))
    predict = support.predictor_of(prepared)
    for split in support.todo(prepared):
        predict(Task(split))
    return prepared


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize("where", ["local", "memory"])
@pytest.mark.parametrize("output_format", ["JSON", pytest.param("CSV", marks=pytest.mark.long)])
@pytest.mark.usefixtures("pages")
def test_a_publish_interrupted_anywhere_is_completed_by_the_next_run(
    output_format, where, before, source, tmp_path, memory, monkeypatch
):
    base = memory if where == "memory" else str(tmp_path / "outs")
    fields = {"outputDataFormat": output_format}
    score_in_process(three_splits(source, f"{base}/whole", **fields))
    whole = support.published(f"{base}/whole")

    def start(output):
        document = three_splits(source, output, **fields)
        return document, scored(document)

    tried = 0
    for output, document in interruptions(lambda n: f"{base}/{n}", monkeypatch, start, before):
        tried += 1
        if "_SUCCESS" in support.names(output):
            assert support.published(output) == whole
        result = score_in_process(document)
        assert support.published(output) == whole
        assert support.counts(result) == (28, 2)
        assert support.counts(score_in_process(document)) == (28, 2)
    assert tried >= 12


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
@pytest.mark.usefixtures("pages")
def test_an_interrupted_takeover_never_shows_half_of_the_old_results(before, source, memory, monkeypatch):
    other = support.write(f"{memory}/other.json", map(str, range(60)))
    score_in_process(three_splits(source, f"{memory}/whole"))
    whole = support.published(f"{memory}/whole")

    def start(output):
        old = support.job(DOUBLE, other, output, splitBytes=20)
        score_in_process(old)
        document = three_splits(source, output)
        return document, scored(document, overwrite=True)

    for output, document in interruptions(lambda n: f"{memory}/{n}", monkeypatch, start, before):
        found = support.published(output)
        if "_SUCCESS" in found:
            complete = found == whole or len([name for name in found if "results-" in name]) == 9
            assert complete, f"_SUCCESS stands beside {sorted(found)}"
        score_in_process(document, overwrite=True)
        assert support.published(output) == whole


def test_a_move_that_was_interrupted_between_copy_and_delete(source, memory, monkeypatch):
    score_in_process(three_splits(source, f"{memory}/whole"))
    document = three_splits(source, f"{memory}/out")
    prepared = scored(document)
    with monkeypatch.context() as patched:

        def gone(*_):
            raise Interrupted

        patched.setattr(MemoryFileSystem, "rm_file", gone)
        with pytest.raises(Interrupted):
            support.publish_prepared(prepared)
    score_in_process(document)
    assert support.published(f"{memory}/out") == support.published(f"{memory}/whole")


@pytest.mark.usefixtures("pages")
def test_two_publish_at_once(source, tmp_path, monkeypatch):
    """Whatever one has done when the other begins, both end well and the output is whole."""
    score_in_process(three_splits(source, str(tmp_path / "whole")))
    whole = support.published(str(tmp_path / "whole"))
    for at in itertools.count():
        output = str(tmp_path / str(at))
        prepared = scored(three_splits(source, output))
        with monkeypatch.context() as patched:
            other = functools.partial(support.publish_prepared, prepared)
            journal = Journal(patched, at, other, before=True)
            result = support.publish_prepared(prepared)
        assert support.counts(result) == (28, 2)
        assert support.published(output) == whole
        if not journal.happened:
            break
    assert at >= 12


# Whose folder it is ---------------------------------------------------------------------------------------------


def test_a_second_run_answers_with_the_same_output_and_touches_nothing(source, out, monkeypatch):
    first = score_in_process(three_splits(source, out))
    before = support.published(out)
    with monkeypatch.context() as patched:
        journal = Journal(patched)
        assert score_in_process(three_splits(source, out)) == first
    assert journal.entries == []
    assert support.published(out) == before


def test_another_id_or_worker_count_is_the_same_job(source, out):
    first = score_in_process(three_splits(source, out))
    document = {**three_splits(source, out, maxWorkerCount="3", region="elsewhere"), "jobId": "another"}
    assert score_in_process(document) == first


def test_results_of_another_job_are_refused(source, out):
    score_in_process(three_splits(source, out))
    before = support.published(out)
    with pytest.raises(OutputRefused, match=r"holds the results of another job.*--overwrite"):
        score_in_process(three_splits(source, out, batchSize=7))
    assert support.published(out) == before


def test_a_changed_input_makes_it_another_job(source, out):
    score_in_process(three_splits(source, out))
    with open(source, "rb") as file:
        data = file.read()
    # As long as before, so that nothing but the version of the file tells.
    support.write(source, data.replace(b"1", b"7"))
    with pytest.raises(OutputRefused, match="other inputs"):
        score_in_process(three_splits(source, out))


def test_a_changed_model_makes_it_another_job(source, out, tmp_path):
    import shutil

    copy = str(tmp_path / "model")
    shutil.copytree(DOUBLE, copy)
    document = support.job(copy, source, out)
    score_in_process(document)
    os.utime(os.path.join(copy, "saved_model.pb"), (1, 1))
    with pytest.raises(OutputRefused, match="another model"):
        score_in_process(document)


@pytest.mark.parametrize("output_format", ["JSON", "CSV", "PARQUET"])
@pytest.mark.usefixtures("pages")
def test_overwriting_leaves_no_shard_of_the_old_job(output_format, source, tmp_path, memory):
    other = support.write(tmp_path / "other.json", map(str, range(60)))
    score_in_process(support.job(DOUBLE, other, memory, splitBytes=20, outputDataFormat=output_format))
    assert len(support.result_names(memory)) == 9
    score_in_process(three_splits(source, memory), overwrite=True)
    assert support.names(memory) == NAMES
    assert [one["y"] for one in support.results(memory)] == [2.0 * n for n in range(30) if n not in (3, 25)]


def test_files_of_others_in_the_folder_are_left_alone(source, out):
    support.write(os.path.join(out, "README"), "mine\n")
    support.write(os.path.join(out, "prediction.summary.json"), "{}\n")
    score_in_process(three_splits(source, out))
    score_in_process(three_splits(source, out, batchSize=9), overwrite=True)
    assert support.names(out) == sorted([*NAMES, "README", "prediction.summary.json"])


def test_going_back_and_forth_between_two_jobs(source, tmp_path, memory):
    other = support.write(tmp_path / "other.json", map(str, range(60)))
    one, two = three_splits(source, memory), support.job(DOUBLE, other, memory, splitBytes=20)
    for _ in range(2):
        for document, count in ((one, 28), (two, 60)):
            score_in_process(document, overwrite=True)
            assert len(support.results(memory)) == count


def test_results_of_nobody_known_are_refused(source, out):
    support.write(os.path.join(out, "prediction.results-00000-of-00001"), "{}\n")
    with pytest.raises(OutputRefused, match="another job"):
        score_in_process(three_splits(source, out))


def test_fresh_scores_everything_again(source, out):
    document = three_splits(source, out)
    score_in_process(document)
    before, old = support.published(out), support.manifests(document)
    score_in_process(document, fresh=True)
    new = support.manifests(document)
    assert support.published(out) == before
    assert len(new) == len(old) == 3
    assert all(one.results.name != other.results.name for one, other in zip(new, old, strict=True))


@pytest.mark.usefixtures("pages")
def test_a_published_file_that_is_gone_is_said_so_and_fresh_brings_it_back(source, out):
    document = three_splits(source, out)
    score_in_process(document)
    before = support.published(out)
    os.remove(os.path.join(out, "prediction.results-00001-of-00003"))
    with pytest.raises(StagingDamaged, match=r"prediction\.results-00001-of-00003 is gone.*--fresh"):
        score_in_process(document)
    score_in_process(document, fresh=True)
    assert support.published(out) == before


def test_a_job_resumes_with_the_splits_that_are_missing(source, out):
    document = three_splits(source, out)
    prepared = prepare(Request(support.spec_of(document)))
    predict = support.predictor_of(prepared)
    predict(Task(support.split(prepared, 1)))
    assert [split.index for split in support.todo(prepare(Request(support.spec_of(document))))] == [0, 2]
    score_in_process(document)
    assert support.names(out) == NAMES


def test_a_split_that_was_committed_by_another_attempt_is_not_committed_twice(source, out):
    prepared = prepare(Request(support.spec_of(three_splits(source, out))))
    predict = support.predictor_of(prepared)
    assert predict(Task(support.split(prepared, 0))) is not None
    assert predict(Task(support.split(prepared, 0))) is None
    assert len(os.listdir(os.path.join(prepared.staging.parts))) == 2  # one part: results and errors


# Folders that cannot be used -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "output_format"),
    [
        ("{out}/*", "JSON"),
        ("{out}", "JSON"),
        ("{out}/", "JSON"),
        ("{out}/pred*", "JSON"),
        ("{out}/**", "JSON"),
        ("{out}/*.parquet", "PARQUET"),
        ("{out}/*.csv", "CSV"),
        ("{out}/*errors-*", "JSON"),
        ("{out}/prediction.results-00000-of-00001", "JSON"),
    ],
)
def test_inputs_that_ask_for_the_own_output_are_refused(pattern, output_format, out):
    for name in ("in", "in.parquet", "in.csv", "errors-1", "prediction.results-00000-of-00001"):
        support.write(os.path.join(out, name), "1\n")
    inputs = pattern.format(out=out)
    with pytest.raises(OutputRefused, match="inputPaths"):
        score_in_process(support.job(DOUBLE, inputs, out, outputDataFormat=output_format), overwrite=True)


@pytest.mark.parametrize("pattern", ["{out}/*.json", "{out}/in?", "{out}/in1"])
def test_inputs_beside_the_results_are_fine_if_no_pattern_matches_both(pattern, out):
    for name in ("in1", "in1.json"):
        support.write(os.path.join(out, name), "1\n")
    document = support.job(DOUBLE, pattern.format(out=out), out)
    assert support.counts(score_in_process(document)) == (1, 0)
    assert support.counts(score_in_process(document)) == (1, 0)


def test_an_output_path_that_is_a_file(source):
    with pytest.raises(OutputRefused, match="is a file; it must be a folder"):
        score_in_process(support.job(DOUBLE, source, source))


def test_an_output_folder_that_cannot_be_made(source):
    with pytest.raises(OutputRefused, match="outputPath: cannot"):
        score_in_process(support.job(DOUBLE, source, f"{source}/below/a/file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(source, tmp_path):
    os.mkdir(tmp_path / "locked", 0o500)
    with pytest.raises(OutputRefused, match="outputPath: cannot write"):
        score_in_process(support.job(DOUBLE, source, str(tmp_path / "locked")))


def test_a_damaged_manifest_is_named(source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    manifest = os.path.join(prepared.staging.manifests, "00000001.json")
    with open(manifest, "w") as file:
        file.write("{")
    with pytest.raises(StagingDamaged, match=r"00000001\.json cannot be read.*--fresh"):
        score_in_process(document)
    score_in_process(document, fresh=True)
    assert support.names(out) == NAMES


def test_a_split_whose_part_is_gone_is_scored_again(source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    (manifest,) = [one for one in support.manifests(document) if one.split == 2]
    os.remove(prepared.staging.part(manifest.results.name))
    output = score_in_process(document)
    assert (output.prediction_count, output.error_count) == (28, 2)
    assert len(support.results(out)) == 28


@pytest.mark.usefixtures("pages")
def test_too_many_errors_at_the_end_are_refused_with_the_place_of_the_first(source, out):
    with pytest.raises(BudgetSpent) as caught:
        score_in_process(three_splits(source, out, maxErrors="5%"))
    said = r"More errors than maxErrors \(5%\) allows: 2 of the 30 records so far failed. For example: "
    assert re.fullmatch(f"{said}{re.escape(source)} at byte 6: .+", str(caught.value))
    assert support.names(out) == []


def test_counts_and_node_hours_come_from_the_manifests(source, out):
    document = three_splits(source, out)
    output = score_in_process(document)
    found = support.manifests(document)
    assert output.prediction_count == sum(one.predictions for one in found) == 28
    assert output.error_count == sum(one.error_count for one in found) == 2
    assert output.node_hours == pytest.approx(sum(one.node_seconds for one in found) / 3600)
    assert output.output_path == out
    wire = output.to_wire()
    assert (wire["predictionCount"], wire["errorCount"]) == ("28", "2")
    json.dumps(wire, allow_nan=False)


@pytest.mark.parametrize("kind", ["results", "errors"])
@pytest.mark.parametrize("left", [0, 5])
def test_a_part_that_was_cut_short_is_scored_again(kind, left, source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    (manifest,) = [one for one in support.manifests(document) if one.split == 0]
    os.truncate(prepared.staging.part(getattr(manifest, kind).name), left)
    output = score_in_process(document)
    assert (output.prediction_count, output.error_count) == (28, 2)
    assert (len(support.results(out)), len(support.errors(out))) == (28, 2)


@pytest.mark.usefixtures("pages")
def test_errors_that_are_gone_are_found_again(source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    (manifest,) = [one for one in support.manifests(document) if one.split == 0]
    assert manifest.errors is not None
    os.remove(prepared.staging.part(manifest.errors.name))
    score_in_process(document)
    assert len(support.errors(out)) == 2


def test_published_results_that_were_cut_short_are_said_so(source, out):
    document = three_splits(source, out)
    score_in_process(document)
    os.truncate(os.path.join(out, "prediction.results-00001-of-00003"), 3)
    with pytest.raises(StagingDamaged, match=r"results-00001-of-00003 has 3 bytes instead of \d+.*--fresh"):
        score_in_process(document)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"fingerprint": 3}'])
def test_an_owner_that_cannot_be_read_is_another(text, source, out):
    document = three_splits(source, out)
    score_in_process(document)
    support.write(os.path.join(out, "_batchpredict", "owner.json"), text)
    with pytest.raises(OutputRefused, match="--overwrite"):
        score_in_process(document)
    score_in_process(document, overwrite=True)
    assert support.names(out) == NAMES


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}'])
def test_a_stored_output_that_cannot_be_read_is_named(text, source, out):
    document = three_splits(source, out)
    score_in_process(document)
    support.write(support.planned(document)[1].output, text)
    with pytest.raises(StagingDamaged, match=r"output\.json cannot be read.*--fresh"):
        score_in_process(document)


@pytest.mark.parametrize("change", [{"predictions": "x"}, {"segments": [{}]}, {"results": None}])
def test_a_manifest_of_wrong_types_is_named(change, source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    path = os.path.join(prepared.staging.manifests, "00000001.json")
    with open(path) as file:
        fields = json.load(file)
    support.write_json(path, {**fields, **change})
    with pytest.raises(StagingDamaged, match=r"00000001\.json cannot be read.*--fresh"):
        score_in_process(document)


def test_a_manifest_of_no_split_is_passed_over(source, out):
    document = three_splits(source, out)
    prepared = scored(document)
    support.write(os.path.join(prepared.staging.manifests, "00009999.json"), "{")
    score_in_process(document)
    assert support.names(out) == NAMES


@pytest.mark.parametrize("how", ["same size", "shorter", "longer"])
def test_an_input_that_changes_while_the_job_runs_fails_it(how, source, out):
    prepared = prepare(Request(support.spec_of(three_splits(source, out))))
    predict = support.predictor_of(prepared)
    predict(Task(support.split(prepared, 0)))
    with open(source, "rb") as file:
        data = file.read()
    changed = {"same size": data.replace(b"29", b"99"), "shorter": data[:-20], "longer": data + b"1\n"}[how]
    support.write(source, changed)
    with pytest.raises(NoInput, match=r"in\.json' has changed since the job was planned"):
        predict(Task(support.split(prepared, 1)))


def test_staging_that_is_removed_under_a_run_is_said_so(source, out):
    prepared = scored(three_splits(source, out))
    prepared.staging.clear()
    with pytest.raises(StagingDamaged, match="somebody removed it while the job ran"):
        load_plan(prepared.staging)
