"""What is found wrong with a job before it is queued, by the field that is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

import pytest
import support
from service.registry_support import ANN, PROJECT, World, world

from batchpredict.errors import InvalidJob
from batchpredict.job import Job
from batchpredict.service.registry import ResourceMissing
from batchpredict.service.store import NewJob
from batchpredict.service.validation import Checked

MODEL = f"projects/{PROJECT}/models/census"

TRAINING = {"scaleTier": "BASIC", "region": "r", "pythonModule": "m"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[World]:
    """A registry with a version; its tests change nothing."""
    with world(tmp_path_factory.mktemp("validation")) as found:
        found.ready_version()
        shutil.copytree(support.model("python_words"), found.place("words"))
        yield found


def check(world: World, **fields: object) -> Checked:
    fields.setdefault("uri", world.place("census_v1"))
    if "modelName" in fields or "versionName" in fields:
        del fields["uri"]
    return world.check(PROJECT, world.job(**fields), ANN)


def wrong(world: World, **fields: object) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(InvalidJob) as raised:
        check(world, **fields)
    return {violation.field: violation.description for violation in raised.value.violations}


def fill(folder: str, count: int) -> None:
    """Empty files."""
    os.makedirs(folder)
    for number in range(count):
        with open(os.path.join(folder, f"{number}.txt"), "wb"):
            pass


class TestRight:
    def test_a_job_with_a_folder_is_pinned_to_it(self, shared: World):
        assert check(shared).pinned["uri"] == shared.place("census_v1")
        assert "version" not in check(shared).pinned

    def test_a_job_with_a_model_is_pinned_to_its_version(self, shared: World):
        pinned = check(shared, modelName=MODEL).pinned
        assert (pinned["uri"], pinned["version"]) == (shared.uri_of(), f"{MODEL}/versions/v1")

    def test_nothing_is_made_by_a_check(self, shared: World):
        before = sorted(os.listdir(shared.root))
        check(shared, outputPath=shared.place("not", "yet", "there"))
        assert sorted({*before, "in.txt"}) == sorted(os.listdir(shared.root))

    def test_a_job_is_pinned_to_its_paths_as_they_were_checked(self, shared: World):
        shared.job(uri="census_v1")
        os.symlink(shared.root, shared.place("here"))
        pinned = check(shared, inputPaths=["here/in.txt", "*.txt"], outputPath="./out", uri="census_v1").pinned
        assert pinned == {
            "uri": shared.place("census_v1"),
            "inputPaths": [shared.place("in.txt"), shared.place("*.txt")],
            "outputPath": shared.place("out"),
        }


class TestPaths:
    @pytest.mark.parametrize("path", ["/etc/passwd", "../data/x", "http://h/x", "gs://b/x", "zip://x::y", "~/x"])
    def test_each_field_is_held_to_the_roots(self, shared: World, path):
        assert set(wrong(shared, inputPaths=["in.txt", path])) == {"prediction_input.input_paths[1]"}
        assert set(wrong(shared, outputPath=path)) == {"prediction_input.output_path"}
        assert set(wrong(shared, uri=path)) == {"prediction_input.uri"}

    def test_all_that_are_wrong_are_named_at_once(self, shared: World):
        found = wrong(shared, inputPaths=["/a", "in.txt", "/b"], outputPath="/c", uri="/d")
        assert list(found) == [
            "prediction_input.input_paths[0]",
            "prediction_input.input_paths[2]",
            "prediction_input.output_path",
            "prediction_input.uri",
        ]

    def test_an_input_that_is_a_link_out_of_the_roots_is_refused(self, shared: World):
        support.write(os.path.join(shared.folder, "secret"), b"x")
        os.makedirs(shared.place("linked"), exist_ok=True)
        os.symlink(os.path.join(shared.folder, "secret"), shared.place("linked", "a.txt"))
        found = wrong(shared, inputPaths=[shared.place("linked", "*")])
        assert "is a link that leads out" in found["prediction_input.input_paths[0]"]

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_link_among_thousands_is_found_wherever_it_stands(self, tmp_path, shared: World, kind):
        folder = shared.place(f"thousands_{kind}")
        fill(os.path.join(folder, "a"), 1500)
        outside = tmp_path / "outside"
        support.write(outside / "z.txt", b"x")
        os.symlink(outside / "z.txt" if kind == "file" else outside, os.path.join(folder, "z"))
        pattern = f"{folder}/**" if kind == "file" else f"{folder}/*/*"
        found = wrong(shared, inputPaths=[pattern])
        assert "is a link that leads out" in found["prediction_input.input_paths[0]"]

    def test_a_link_that_stays_below_the_roots_is_fine(self, shared: World):
        support.write(shared.place("targets", "a.txt"), "1\n")
        os.makedirs(shared.place("to_targets"))
        os.symlink(shared.place("targets", "a.txt"), shared.place("to_targets", "b.txt"))
        check(shared, inputPaths=[shared.place("to_targets", "*")])

    def test_the_services_own_copies_cannot_be_named(self, shared: World):
        assert set(wrong(shared, uri=shared.uri_of())) == {"prediction_input.uri"}

    def test_paths_of_a_training_job_are_held_to_the_roots(self, shared: World):
        training = {
            **TRAINING,
            "packageUris": ["/a.tar.gz"],
            "jobDir": "/b",
        }
        job = Job.submitted({"jobId": "j", "trainingInput": training})
        with pytest.raises(InvalidJob) as raised:
            shared.check(PROJECT, job, ANN)
        assert [violation.field for violation in raised.value.violations] == [
            "training_input.job_dir",
            "training_input.package_uris[0]",
        ]


class TestModel:
    def test_a_folder_without_a_saved_model_is_refused(self, shared: World):
        os.makedirs(shared.place("empty"), exist_ok=True)
        found = wrong(shared, uri=shared.place("empty"))
        assert found["prediction_input.uri"].startswith("Deployment directory")

    def test_a_file_that_is_no_saved_model_is_refused(self, shared: World):
        support.write(shared.place("broken", "saved_model.pb"), b"\xff\xff")
        assert "cannot be parsed" in wrong(shared, uri=shared.place("broken"))["prediction_input.uri"]

    def test_a_model_with_a_link_out_of_the_roots_is_refused(self, shared: World):
        uri = shutil.copytree(support.model("double"), shared.place("with_link"))
        os.symlink("/etc/passwd", os.path.join(uri, "assets.txt"))
        assert "'assets.txt'" in wrong(shared, uri=uri)["prediction_input.uri"]

    def test_a_model_that_is_not_there_is_missing(self, shared: World):
        with pytest.raises(ResourceMissing):
            check(shared, modelName=f"projects/{PROJECT}/models/nothing")

    @pytest.mark.parametrize("named", ["uri", "modelName"])
    def test_a_signature_that_the_model_does_not_have_is_named(self, shared: World, named):
        fields = {"modelName": MODEL} if named == "modelName" else {}
        found = wrong(shared, signatureName="rank", **fields)
        text = "No signature found for signature key rank. The model has: serving_default."
        assert found == {"prediction_input.signature_name": text}

    def test_a_signature_that_it_has_is_taken(self, shared: World):
        check(shared, signatureName="serving_default")
        check(shared, signatureName="serving_default", modelName=MODEL)

    def test_a_signature_of_a_version_that_cannot_be_used_says_why(self, tmp_path):
        with world(tmp_path) as here:
            here.ready_version(here.model_folder("odd_types"))
            details = here.store.version(PROJECT, "census", "v1").details["signatures"]
            refused = [name for name, known in details.items() if known["exampleLine"] is None]
            found = wrong(here, modelName=MODEL, signatureName=refused[0])
            assert "cannot be used for prediction: " in found["prediction_input.signature_name"]


class TestInputs:
    def test_every_pattern_that_matches_nothing_is_named(self, shared: World):
        found = wrong(shared, inputPaths=[shared.place("no*"), "in.txt", shared.place("none.txt")])
        assert found == {
            "prediction_input.input_paths[0]": f"'{shared.place('no*')}' matches no file.",
            "prediction_input.input_paths[2]": f"'{shared.place('none.txt')}' matches no file.",
        }

    def test_a_folder_means_the_files_in_it(self, shared: World):
        support.write(shared.place("several", "a.txt"), "1\n")
        check(shared, inputPaths=[shared.place("several")])

    def test_of_thousands_of_files_the_bytes_are_not_counted(self, shared: World):
        folder = shared.place("many")
        fill(folder, 3000)
        # More than are counted: what is reserved is what the job allows.
        assert check(shared, inputPaths=[f"{folder}/*"], maxWorkerCount=7).workers == 7


class TestOutput:
    def test_a_folder_with_results_of_another_job_is_refused(self, shared: World):
        support.write(shared.place("taken", "prediction.results-00000-of-00001"), "{}\n")
        found = wrong(shared, outputPath=shared.place("taken"))
        assert "holds the results of another job" in found["prediction_input.output_path"]

    def test_results_of_the_very_same_job_are_its_to_complete(self, shared: World):
        fields = {"uri": shared.place("census_v1"), "outputPath": shared.place("mine")}
        support.score_in_process(shared.job(**fields).to_wire())
        assert check(shared, **fields).pinned
        found = wrong(shared, **{**fields, "batchSize": 3})
        text = found["prediction_input.output_path"]
        assert "holds the results of another job" in text
        assert "--overwrite" not in text

    def test_a_file_is_refused(self, shared: World):
        support.write(shared.place("file"), b"")
        assert "is a file" in wrong(shared, outputPath=shared.place("file"))["prediction_input.output_path"]
        found = wrong(shared, outputPath=shared.place("file", "below"))
        assert "is not a folder" in found["prediction_input.output_path"]

    def test_a_folder_that_may_not_be_written_is_refused(self, shared: World, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: path != shared.root)
        assert "may not write" in wrong(shared, outputPath=shared.place("new"))["prediction_input.output_path"]

    def test_the_folder_of_the_inputs_is_refused_if_they_would_match_the_results(self, shared: World):
        support.write(shared.place("both", "a.txt"), "1\n")
        folder = shared.place("both")
        found = wrong(shared, inputPaths=[f"{folder}/*"], outputPath=folder)
        assert "would read the results of this one" in found["prediction_input.output_path"]


class TestWorkers:
    @pytest.mark.parametrize(
        ("size", "fields", "workers"),
        [
            (100, {}, 1),
            (10 << 20, {}, 10),
            (10 << 20, {"maxWorkerCount": "3"}, 3),
            (10 << 20, {"maxWorkerCount": 500}, 81),
            (100, {"splitBytes": 10, "maxWorkerCount": 500}, 21),
        ],
    )
    def test_a_job_reserves_what_it_allows_but_not_more_than_it_has_splits(
        self, shared: World, size, fields, workers
    ):
        support.write(shared.place("sized.txt"), b"1" * size)
        assert check(shared, inputPaths=[shared.place("sized.txt")], **fields).workers == workers

    def test_no_job_has_more_splits_than_that(self, shared: World):
        from batchpredict.ledger.split_size import most_splits

        for size in (0, 1, 70_000, 300_000, 2_000_000):
            support.write(shared.place("planned.txt"), b"1\n" * (size // 2))
            for split_bytes in (None, 1000, 99_999):
                fields = {"uri": shared.place("census_v1"), "inputPaths": [shared.place("planned.txt")] * 2}
                document = shared.job(**fields, **({"splitBytes": split_bytes} if split_bytes else {})).to_wire()
                assert support.planned(document)[0].splits <= most_splits(size, split_bytes)


class TestTraining:
    def checked(self, shared: World, **fields: object):
        package = support.write(shared.place("trainer.tar.gz"), b"")
        training = {**TRAINING, "packageUris": [package], **fields}
        return shared.check(PROJECT, Job.submitted({"jobId": "j", "trainingInput": training}), ANN)

    def faults(self, shared: World, **fields: object) -> list[tuple[str, str]]:
        with pytest.raises(InvalidJob) as raised:
            self.checked(shared, **fields)
        return [(violation.field, violation.description) for violation in raised.value.violations]

    def test_it_reserves_a_worker_for_each_replica(self, shared: World):
        assert self.checked(shared).workers == 1
        standard = self.checked(shared, scaleTier="STANDARD_1", jobDir=shared.place("trained"))
        assert standard.workers == 8
        assert standard.pinned == {
            "packageUris": [shared.place("trainer.tar.gz")],
            "jobDir": shared.place("trained"),
        }

    def test_a_package_that_is_not_there(self, shared: World):
        missing = shared.place("none.tar.gz")
        assert self.faults(shared, packageUris=[shared.place("trainer.tar.gz"), missing]) == [
            ("training_input.package_uris[1]", f"There is no package '{missing}'.")
        ]

    def test_a_job_dir_that_is_a_file(self, shared: World):
        [(field, text)] = self.faults(shared, jobDir=shared.place("trainer.tar.gz"))
        assert field == "training_input.job_dir"
        assert text.endswith("is not a folder.")

    def test_a_cluster_that_there_cannot_be(self, shared: World):
        [(field, _)] = self.faults(shared, scaleTier="BASIC_TPU")
        assert field == "training_input.scale_tier"

    def test_the_job_that_a_search_resumes(self, shared: World):
        params = [{"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1}]
        tuning = {"goal": "MINIMIZE", "params": params, "resumePreviousJobId": "earlier"}
        assert self.faults(shared, hyperparameters=tuning) == [
            (
                "training_input.hyperparameters.resume_previous_job_id",
                'There is no job "earlier" with a job_dir in this project.',
            )
        ]
        place = shared.place("earlier_dir")
        earlier = NewJob(PROJECT, "earlier", {"jobId": "earlier"}, creator=ANN.member, pinned={"jobDir": place})
        shared.store.create_job(earlier)
        checked = self.checked(shared, hyperparameters=tuning, jobDir=shared.place("later_dir"))
        assert checked.pinned["resumedFrom"] == place

    def test_a_grid_over_numbers_without_an_end(self, shared: World):
        params = [{"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1}]
        tuning = {"goal": "MINIMIZE", "params": params, "algorithm": "GRID_SEARCH"}
        [(field, _)] = self.faults(shared, hyperparameters=tuning)
        assert field == "training_input.hyperparameters.params[0].type"


def test_a_check_takes_milliseconds(shared: World):
    job = shared.job(modelName=MODEL)
    check(shared, modelName=MODEL)
    begin = time.process_time()
    for _ in range(20):
        shared.check(PROJECT, job, ANN)
    assert (time.process_time() - begin) / 20 < 0.1
