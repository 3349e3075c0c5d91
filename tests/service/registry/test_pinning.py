"""What the model of a job means when it is created, and that it means the same ever after."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
import support
from service.registry_support import ANN, BOB, PROJECT, World, world

from batchpredict.errors import InvalidJob
from batchpredict.service.registry import Pinned, ResourceInUse, ResourceMissing

MODEL = f"projects/{PROJECT}/models/census"
V1 = f"{MODEL}/versions/v1"
V2 = f"{MODEL}/versions/v2"


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Iterator[World]:
    """A registry with two versions of one model, of which v1 is the default, and an empty model."""
    with world(tmp_path_factory.mktemp("pinning")) as found:
        found.ready_version(name="v1")
        found.ready_version(name="v2")
        found.create_model("empty")
        yield found


def policy(member: str, role: str) -> dict[str, object]:
    return {"bindings": [{"role": role, "members": [member]}]}


class TestNames:
    def test_a_version_is_the_copy_of_its_files(self, there: World):
        pinned = there.resolve(versionName=V2)
        assert (pinned.uri, pinned.version) == (there.uri_of("v2"), V2)
        assert pinned.stored() == {"uri": there.uri_of("v2"), "version": V2}

    def test_a_model_is_its_default_version(self, there: World):
        assert there.resolve(modelName=MODEL).version == V1

    def test_a_uri_is_itself(self, there: World):
        uri = there.place("census_v1")
        assert there.resolve(uri=uri) == Pinned(uri)
        assert there.resolve(uri=f" {uri}/ ").stored() == {"uri": uri}

    def test_a_link_is_what_it_leads_to_now(self, there: World):
        os.symlink(there.place("census_v1"), there.place("link"))
        assert there.resolve(uri=there.place("link")).uri == there.place("census_v1")

    def test_a_training_job_has_no_model(self, there: World):
        from batchpredict.job import Job
        from batchpredict.service.registry import resolve

        training = {"scaleTier": "BASIC", "region": "r", "packageUris": ["p"], "pythonModule": "m"}
        job = Job.submitted({"jobId": "j", "trainingInput": training})
        pinned = resolve(job, PROJECT, ANN, store=there.store, access=there.access, paths=there.paths)
        assert pinned.stored() == {}

    def test_the_job_stays_as_it_was_sent(self, there: World):
        job = there.job(modelName=MODEL, runtimeVersion="1.15", batchSize="7")
        before = job.to_wire()
        there.resolve(modelName=MODEL, runtimeVersion="1.15", batchSize="7")
        assert job.to_wire() == before
        assert before["predictionInput"]["modelName"] == MODEL

    def test_the_last_use_of_a_version_is_noted_and_its_etag_stays(self, there: World):
        before = there.registry.version(PROJECT, "census", "v2")
        there.resolve(versionName=V2)
        after = there.registry.version(PROJECT, "census", "v2")
        assert after["lastUseTime"]
        assert after["etag"] == before["etag"]


class TestWhatIsNotThere:
    @pytest.mark.parametrize(
        ("fields", "field", "begin"),
        [
            (
                {"modelName": f"projects/{PROJECT}/models/x"},
                "prediction_input.model_name",
                'The model resource: "x" was not found. Please create ',
            ),
            (
                {"versionName": f"projects/{PROJECT}/models/x/versions/v1"},
                "prediction_input.version_name",
                'The model resource: "x" was not found. Please create ',
            ),
            (
                {"versionName": f"{MODEL}/versions/v9"},
                "prediction_input.version_name",
                'The version resource: "v9" of the model "census" was not found. Please create ',
            ),
        ],
    )
    def test_it_is_missing_in_the_words_of_the_service(self, there: World, fields, field, begin):
        with pytest.raises(ResourceMissing) as raised:
            there.resolve(**fields)
        [violation] = raised.value.violations
        assert violation.field == field
        assert violation.description.startswith(begin)
        assert str(raised.value) == f"Field: {field} Error: {violation.description}"

    def test_a_model_without_versions_is_said(self, there: World):
        with pytest.raises(ResourceInUse, match="has no version yet"):
            there.resolve(modelName=f"projects/{PROJECT}/models/empty")

    def test_a_version_that_is_not_ready_is_said(self, idle: World):
        idle.create_model()
        idle.create_version(idle.model_folder())
        with pytest.raises(ResourceInUse, match="is not READY but CREATING"):
            idle.resolve(versionName=V1)

    def test_a_version_that_failed_says_why(self, here: World):
        here.create_model()
        support.write(here.place("bad", "saved_model.pb"), b"\xff")
        here.ended(here.create_version(here.place("bad")))
        with pytest.raises(ResourceInUse, match=r"FAILED: .*cannot be parsed"):
            here.resolve(modelName=MODEL)

    @pytest.mark.parametrize("uri", ["/etc", "../data", "http://h/m"])
    def test_a_folder_outside_of_the_roots_is_refused(self, there: World, uri):
        with pytest.raises(InvalidJob, match=r"Field: prediction_input\.uri Error"):
            there.resolve(uri=uri)


class TestOtherProjects:
    @pytest.mark.parametrize("fields", [{"modelName": MODEL}, {"versionName": V1}])
    def test_a_model_that_the_caller_may_not_see_is_one_that_is_not_there(self, there: World, fields):
        with pytest.raises(ResourceMissing) as hidden:
            there.resolve(caller=BOB, project="other", **fields)
        [violation] = hidden.value.violations
        assert violation.description.startswith('The model resource: "census" was not found.')

    @pytest.mark.parametrize("fields", [{"modelName": MODEL}, {"versionName": V1}])
    @pytest.mark.parametrize("resource", [MODEL, f"projects/{PROJECT}"])
    @pytest.mark.parametrize(("role", "allowed"), [("roles/ml.modelUser", True), ("roles/ml.viewer", False)])
    def test_it_takes_a_role_that_may_predict_with_it_and_not_only_look(
        self, tmp_path, fields, resource, role, allowed
    ):
        if role == "roles/ml.modelUser" and resource != MODEL:
            role = "roles/ml.developer"
        with world(tmp_path) as here:
            here.ready_version()
            here.store.set_policy(resource, policy(BOB.member, role), None)
            if allowed:
                assert here.resolve(caller=BOB, project="other", **fields).version == V1
            else:
                with pytest.raises(ResourceMissing):
                    here.resolve(caller=BOB, project="other", **fields)

    def test_its_creator_may_use_it_from_anywhere(self, there: World):
        assert there.resolve(caller=ANN, project="other", modelName=MODEL).version == V1

    def test_in_its_own_project_nothing_more_is_asked(self, there: World):
        assert there.resolve(caller=BOB, modelName=MODEL).version == V1


class TestLater:
    def test_a_change_of_the_default_changes_nothing(self, tmp_path):
        with world(tmp_path) as here:
            here.ready_version(name="v1")
            here.ready_version(name="v2")
            before = here.resolve(modelName=MODEL)
            here.registry.set_default(PROJECT, "census", "v2")
            assert here.resolve(modelName=MODEL).version == V2
            assert before.uri == here.uri_of("v1")

    def test_the_files_are_there_after_a_deletion_and_a_new_version_of_the_name(self, tmp_path):
        with world(tmp_path) as here:
            here.ready_version(name="v1")
            before = here.resolve(modelName=MODEL)
            here.registry.delete_version(PROJECT, "census", "v1")
            here.ready_version(here.model_folder("two_inputs"), "v1")
            after = here.resolve(modelName=MODEL)
            assert after.uri != before.uri
            with open(os.path.join(before.uri, "saved_model.pb"), "rb") as file:
                kept = file.read()
            with open(os.path.join(support.model("double"), "saved_model.pb"), "rb") as file:
                assert kept == file.read()

    def test_the_last_use_is_written_once_a_minute_and_not_for_every_job(self, there: World, monkeypatch):
        there.resolve(versionName=V1)
        first = there.store.version(PROJECT, "census", "v1").last_used
        there.resolve(versionName=V1)
        assert there.store.version(PROJECT, "census", "v1").last_used == first
        later = there.store.now() + timedelta(minutes=2)
        monkeypatch.setattr(there.store, "now", lambda: later)
        there.resolve(versionName=V1)
        assert there.store.version(PROJECT, "census", "v1").last_used == later
