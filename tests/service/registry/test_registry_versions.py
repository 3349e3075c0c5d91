"""Versions: an operation copies their files, records their signatures, and makes them READY or FAILED."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import timedelta

import pytest
import support
from service.registry_support import PROJECT, World, race

from batchpredict.errors import InvalidJob
from batchpredict.service.registry import ResourceExists, ResourceInUse, ResourceMissing
from batchpredict.service.store import Stale

V1 = f"projects/{PROJECT}/models/census/versions/v1"


def violations(error: Exception) -> list[tuple[str, str]]:
    found = getattr(error, "violations", ())
    return [(violation.field, violation.description) for violation in found]


class TestCreate:
    def test_the_operation_is_answered_at_once_in_the_form_that_clients_poll(self, here: World):
        here.create_model()
        operation = here.create_version(here.model_folder(), labels={"team": "blue"})
        assert re.fullmatch(rf"projects/{PROJECT}/operations/create_census_v1-\d{{13}}", operation["name"])
        assert not operation.get("done")
        metadata = operation["metadata"]
        assert metadata["operationType"] == "CREATE_VERSION"
        assert metadata["modelName"] == f"projects/{PROJECT}/models/census"
        assert metadata["version"]["name"] == V1
        assert metadata["labels"] == {"team": "blue"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", metadata["createTime"])
        assert json.loads(json.dumps(operation)) == operation

    def test_it_ends_with_the_version_as_its_response_and_no_error(self, here: World):
        here.create_model()
        ended = here.ended(here.create_version(here.model_folder()))
        assert ended["done"] is True
        assert "error" not in ended
        assert ended["response"]["@type"] == "type.googleapis.com/google.cloud.ml.v1.Version"
        assert ended["response"]["name"] == V1
        assert ended["response"]["state"] == "READY"
        assert ended["metadata"]["endTime"] >= ended["metadata"]["startTime"]

    def test_the_version_is_shown_as_it_was_sent_with_what_became_of_it(self, here: World):
        here.create_model()
        uri = here.model_folder()
        sent = {
            "deployment_uri": uri,
            "runtimeVersion": "2.15",
            "framework": "TENSORFLOW",
            "manualScaling": {"nodes": 1},
            "description": None,
            "labels": {"airflow-version": "v2-10-5"},
            "name": "v1",
            "state": "READY",
            "isDefault": False,
        }
        here.ended(here.registry.create_version(PROJECT, "census", sent, "user:ann@x.org"))
        found = here.registry.version(PROJECT, "census", "v1")
        assert found.pop("createTime")
        assert found.pop("etag")
        assert found == {
            "name": V1,
            "deploymentUri": uri,
            "runtimeVersion": "2.15",
            "framework": "TENSORFLOW",
            "manualScaling": {"nodes": 1},
            "labels": {"airflow-version": "v2-10-5"},
            "isDefault": True,
            "state": "READY",
        }

    def test_its_files_are_the_services_own_byte_for_byte(self, here: World):
        uri = here.model_folder()
        here.ready_version(uri)
        copy = here.uri_of()
        assert copy.startswith(os.path.join(os.path.realpath(here.data), "models", "copies"))
        found = files(uri)
        shutil.rmtree(uri)
        assert files(copy) == found

    def test_its_signatures_are_recorded(self, here: World):
        here.ready_version(here.model_folder("two_inputs"))
        details = here.store.version(PROJECT, "census", "v1").details
        assert sorted(details["signatures"]["serving_default"]["inputs"]) == ["a", "b"]
        assert details["files"] == len(files(here.uri_of()))

    def test_the_first_is_the_default_and_the_second_is_not(self, here: World):
        here.ready_version(name="v1")
        here.ready_version(name="v2")
        model = here.registry.model(PROJECT, "census")
        assert model["defaultVersion"]["name"] == V1
        assert model["defaultVersion"]["isDefault"] is True
        assert "isDefault" not in here.registry.version(PROJECT, "census", "v2")

    def test_a_name_is_used_once(self, here: World):
        here.ready_version()
        with pytest.raises(ResourceExists) as raised:
            here.create_version(here.place("census_v1"))
        assert violations(raised.value) == [("version.name", "A version with the same name already exists.")]

    def test_of_many_that_race_for_a_name_one_is_created(self, here: World):
        here.create_model()
        uri = here.model_folder()
        assert race(lambda: here.create_version(uri)) == ["created", *["exists"] * 7]
        assert len(here.registry.operations(PROJECT)[0]) == 1

    def test_versions_of_one_millisecond_have_operations_of_their_own(self, idle: World, monkeypatch):
        idle.create_model()
        uri, now = idle.model_folder(), idle.store.now()
        times = iter([now, now, now, now + timedelta(milliseconds=1)])
        monkeypatch.setattr(idle.store, "now", lambda: next(times))
        # `census_a` of `v1` and `census` of `a_v1` are of one name.
        idle.create_model("census_a")
        idle.create_version(uri, "v1", "census_a")
        idle.create_version(uri, "a_v1", "census")
        assert len(idle.registry.operations(PROJECT)[0]) == 2

    def test_without_a_model_there_is_no_version(self, here: World):
        with pytest.raises(ResourceMissing, match='The model resource: "census" was not found'):
            here.create_version(here.model_folder())

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": "1st"}, "version.name"),
            ({"name": "with-dash"}, "version.name"),
            ({"framework": "XGBOOST"}, "version.framework"),
            ({"framework": "TORCH"}, "version.framework"),
            ({"predictionClass": "m.P", "packageUris": ["x.tar.gz"]}, "version.prediction_class"),
            ({"container": {"image": "x"}}, "version.container"),
            ({"labels": {"a": 1}}, "version.labels.a"),
            ({"deploymentUri": " "}, "version.deployment_uri"),
        ],
    )
    def test_what_is_wrong_is_named_by_its_field(self, here: World, fields, field):
        here.create_model()
        body = {"name": "v1", "deploymentUri": here.model_folder(), **fields}
        with pytest.raises(InvalidJob) as raised:
            here.registry.create_version(PROJECT, "census", body, "user:ann@x.org")
        assert [name for name, _ in violations(raised.value)] == [field]
        assert here.registry.versions(PROJECT, "census") == ([], None)

    def test_an_unknown_field_is_refused_in_the_words_of_the_service(self, here: World):
        here.create_model()
        with pytest.raises(InvalidJob) as raised:
            here.create_version(here.model_folder(), modelType="x")
        text = "Invalid JSON payload received. Unknown name \"modelType\" at 'version': Cannot find field."
        assert violations(raised.value) == [("version", text)]

    @pytest.mark.parametrize(
        "uri", ["{root}/nothing", "{root}/../data", "/etc", "file:///etc", "http://h/m", "~/m"]
    )
    def test_a_folder_that_cannot_be_one_is_refused_at_once_and_the_name_stays_free(self, here: World, uri):
        here.create_model()
        with pytest.raises(InvalidJob) as raised:
            here.create_version(uri.format(root=here.root))
        assert [name for name, _ in violations(raised.value)] == ["version.deployment_uri"]
        here.ready_version()

    def test_a_folder_without_a_saved_model_is_refused_in_the_words_of_the_service(self, here: World):
        here.create_model()
        os.makedirs(here.place("empty"))
        with pytest.raises(InvalidJob) as raised:
            here.create_version(here.place("empty"))
        graphs = "[saved_model.pb, saved_model.pbtxt]"
        text = f"Deployment directory {here.place('empty')} is expected to contain exactly one of: {graphs}."
        assert violations(raised.value) == [("version.deployment_uri", text)]


class TestFailure:
    def test_what_only_looks_like_a_saved_model_fails_the_operation_and_says_why(self, here: World):
        here.create_model()
        uri = here.place("model")
        support.write(os.path.join(uri, "saved_model.pb"), b"\xff no such thing")
        ended = here.ended(here.create_version(uri))
        assert ended["error"]["code"] == 9
        assert f"'{uri}' is not a SavedModel" in ended["error"]["message"]
        assert "response" not in ended
        found = here.registry.version(PROJECT, "census", "v1")
        assert found["state"] == "FAILED"
        assert found["errorMessage"] == ended["error"]["message"]

    def test_nothing_is_left_of_its_files(self, here: World):
        here.create_model()
        support.write(here.place("model", "saved_model.pb"), b"\xff")
        here.ended(here.create_version(here.place("model")))
        assert here.copies() == []
        assert here.index() == []

    def test_a_link_that_leads_out_of_the_roots_is_refused(self, here: World):
        here.create_model()
        uri = here.model_folder()
        secret = support.write(os.path.join(here.folder, "secret"), b"of somebody else")
        os.symlink(secret, os.path.join(uri, "assets.txt"))
        ended = here.ended(here.create_version(uri))
        assert ended["error"]["code"] == 3
        assert "'assets.txt'" in ended["error"]["message"]
        assert here.copies() == []

    def test_a_link_to_a_file_below_the_roots_is_copied_as_that_file(self, here: World):
        here.create_model()
        uri = here.model_folder()
        other = support.write(here.place("elsewhere.txt"), b"mine")
        os.symlink(other, os.path.join(uri, "extra.txt"))
        here.ended(here.create_version(uri))
        path = os.path.join(here.uri_of(), "extra.txt")
        assert not os.path.islink(path)
        with open(path, "rb") as file:
            assert file.read() == b"mine"

    def test_a_name_that_is_not_utf8_is_refused_and_can_be_spoken_of(self, here: World):
        here.create_model()
        uri = here.model_folder()
        with open(os.path.join(os.fsencode(uri), b"odd\xff.txt"), "wb") as file:
            file.write(b"odd")
        ended = here.ended(here.create_version(uri))
        assert "The name of 'odd\\udcff.txt'" in ended["error"]["message"]
        assert "is not UTF-8" in here.registry.version(PROJECT, "census", "v1")["errorMessage"]

    def test_more_files_than_a_model_may_have_are_refused(self, here: World):
        here.create_model()
        uri = here.model_folder()
        for number in range(1001):
            support.write(os.path.join(uri, "assets", str(number)), b"")
        ended = here.ended(here.create_version(uri))
        assert "more than 1000 files" in ended["error"]["message"]

    def test_a_failed_version_cannot_become_the_default_but_another_can(self, here: World):
        here.create_model()
        support.write(here.place("bad", "saved_model.pb"), b"\xff")
        here.ended(here.create_version(here.place("bad")))
        here.ready_version(name="v2")
        with pytest.raises(ResourceInUse, match="not READY but FAILED"):
            here.registry.set_default(PROJECT, "census", "v1")
        assert here.registry.set_default(PROJECT, "census", "v2")["isDefault"] is True
        here.registry.delete_version(PROJECT, "census", "v1")


class TestDefault:
    def test_set_default_answers_the_version(self, here: World):
        here.ready_version(name="v1")
        here.ready_version(name="v2")
        assert here.registry.set_default(PROJECT, "census", "v2") == here.registry.version(PROJECT, "census", "v2")
        assert "isDefault" not in here.registry.version(PROJECT, "census", "v1")

    def test_the_default_is_deletable_only_as_the_last(self, here: World):
        here.ready_version(name="v1")
        here.ready_version(name="v2")
        with pytest.raises(ResourceInUse, match="Cannot delete the default version"):
            here.registry.delete_version(PROJECT, "census", "v1")
        here.registry.delete_version(PROJECT, "census", "v2")
        operation = here.registry.delete_version(PROJECT, "census", "v1")
        assert operation["done"] is True
        assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
        assert operation["metadata"]["operationType"] == "DELETE_VERSION"
        assert "defaultVersion" not in here.registry.model(PROJECT, "census")

    def test_one_that_is_not_there_cannot_be(self, here: World):
        here.create_model()
        with pytest.raises(ResourceMissing, match='The version resource: "v9" of the model "census"'):
            here.registry.set_default(PROJECT, "census", "v9")


class TestPatch:
    def test_only_what_the_mask_names_is_changed(self, here: World):
        here.ready_version()
        body = {"description": "new", "labels": {"a": "b"}}
        operation = here.registry.patch_version(PROJECT, "census", "v1", body, ["description"])
        found = here.registry.version(PROJECT, "census", "v1")
        assert operation["done"] is True
        assert operation["response"] == {"@type": "type.googleapis.com/google.cloud.ml.v1.Version", **found}
        assert found["description"] == "new"
        assert "labels" not in found

    def test_a_masked_field_that_is_not_given_is_taken_away(self, here: World):
        here.ready_version()
        here.registry.patch_version(PROJECT, "census", "v1", {"description": "x"}, ["description"])
        here.registry.patch_version(PROJECT, "census", "v1", {}, ["description"])
        assert "description" not in here.registry.version(PROJECT, "census", "v1")

    def test_an_etag_that_is_not_the_stored_one_is_refused(self, here: World):
        found = here.ready_version()
        body = {"labels": {"a": "1"}, "etag": found["etag"]}
        here.registry.patch_version(PROJECT, "census", "v1", body, ["labels", "etag"])
        with pytest.raises(Stale):
            here.registry.patch_version(PROJECT, "census", "v1", body, ["labels", "etag"])

    def test_an_etag_alone_is_checked_and_renewed(self, here: World):
        etag = here.ready_version()["etag"]
        here.registry.patch_version(PROJECT, "census", "v1", {"etag": etag}, ["etag"])
        assert here.registry.version(PROJECT, "census", "v1")["etag"] != etag
        with pytest.raises(Stale):
            here.registry.patch_version(PROJECT, "census", "v1", {"etag": etag}, ["etag"])

    def test_its_files_are_not_changed_by_a_patch(self, here: World):
        here.ready_version()
        with pytest.raises(InvalidJob, match=r'Field: update_mask Error: "deployment_uri" cannot be changed'):
            here.registry.patch_version(PROJECT, "census", "v1", {"deploymentUri": "/x"}, ["deployment_uri"])


class TestOperations:
    def test_they_are_listed_in_the_order_of_creation(self, here: World):
        here.ready_version(name="v1")
        here.ready_version(name="v2")
        here.registry.delete_version(PROJECT, "census", "v2")
        found, following = here.registry.operations(PROJECT)
        kinds = [one["metadata"]["operationType"] for one in found]
        assert kinds == ["CREATE_VERSION", "CREATE_VERSION", "DELETE_VERSION"]
        assert following is None

    def test_one_that_is_not_there_is_missing(self, here: World):
        with pytest.raises(ResourceMissing):
            here.registry.operation(PROJECT, "create_x-1")
        with pytest.raises(ResourceMissing):
            here.registry.cancel_operation(PROJECT, "create_x-1")

    def test_one_that_is_cancelled_before_it_begins_fails_its_version(self, idle: World):
        idle.create_model()
        operation = idle.create_version(idle.model_folder())
        idle.registry.cancel_operation(PROJECT, operation["name"].rpartition("/")[2])
        idle.registry.start()
        ended = idle.ended(operation)
        assert ended["error"] == {"code": 1, "message": "The operation was cancelled."}
        assert ended["metadata"]["isCancellationRequested"] is True
        assert idle.registry.version(PROJECT, "census", "v1")["state"] == "FAILED"

    def test_of_a_version_that_was_deleted_meanwhile_it_ends_and_leaves_nothing(self, idle: World):
        idle.create_model()
        operation = idle.create_version(idle.model_folder())
        idle.registry.delete_version(PROJECT, "census", "v1")
        idle.registry.start()
        assert idle.ended(operation)["error"]["code"] == 5
        assert idle.copies() == []

    def test_of_a_version_that_was_made_anew_meanwhile_it_leaves_the_new_one_alone(self, idle: World):
        idle.create_model()
        first = idle.create_version(idle.model_folder(called="one"))
        idle.registry.delete_version(PROJECT, "census", "v1")
        second = idle.create_version(idle.model_folder("two_inputs", called="two"))
        idle.registry.start()
        assert "error" in idle.ended(first)
        assert "error" not in idle.ended(second)
        details = idle.store.version(PROJECT, "census", "v1").details
        assert sorted(details["signatures"]["serving_default"]["inputs"]) == ["a", "b"]


def files(folder: str) -> dict[str, bytes]:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found
