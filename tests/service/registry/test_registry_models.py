"""Models: names for versions."""

from __future__ import annotations

import pytest
from service.registry_support import ANN, PROJECT, World, race

from batchpredict.errors import InvalidJob
from batchpredict.resources import ID_RULE
from batchpredict.service.filters import Comparison
from batchpredict.service.registry import ResourceExists, ResourceInUse, ResourceMissing
from batchpredict.service.store import Stale

NAME = f"projects/{PROJECT}/models/census"

UNKNOWN = "Invalid JSON payload received. Unknown name \"displayName\" at 'model': Cannot find field."


def violations(error: Exception) -> list[tuple[str, str]]:
    return [(violation.field, violation.description) for violation in getattr(error, "violations", ())]


class TestCreate:
    def test_it_comes_back_under_its_full_name_with_all_that_was_sent(self, idle: World):
        sent = {
            "name": "census",
            "description": "who earns what",
            "regions": ["us-central1"],
            "onlinePredictionLogging": False,
            "labels": {"airflow-version": "v2-10-5"},
        }
        created = idle.registry.create_model(PROJECT, sent, ANN.member)
        assert created.pop("etag")
        assert created == {**sent, "name": NAME}

    def test_it_is_found_as_it_was_answered(self, idle: World):
        created = idle.create_model()
        assert idle.registry.model(PROJECT, "census") == created

    def test_nulls_are_absent_and_both_spellings_are_one(self, idle: World):
        idle.create_model(online_prediction_logging=True, description=None)
        found = idle.registry.model(PROJECT, "census")
        assert found["onlinePredictionLogging"] is True
        assert "description" not in found

    def test_what_only_the_service_writes_is_ignored_unread(self, idle: World):
        created = idle.create_model(etag=7, defaultVersion={"name": "v9"})
        assert created["etag"] != 7
        assert "defaultVersion" not in created

    def test_a_taken_name_has_the_one_detail_that_airflow_waits_for(self, idle: World):
        idle.create_model()
        with pytest.raises(ResourceExists) as raised:
            idle.create_model()
        assert violations(raised.value) == [("model.name", "A model with the same name already exists.")]
        assert str(raised.value) == "Field: model.name Error: A model with the same name already exists."

    def test_a_name_of_another_project_is_free(self, idle: World):
        idle.create_model()
        created = idle.registry.create_model("other", {"name": "census"}, ANN.member)
        assert created["name"] == "projects/other/models/census"

    def test_of_many_that_race_for_a_name_one_is_created(self, idle: World):
        assert race(idle.create_model) == ["created", *["exists"] * 7]

    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            ({}, ("model.name", "This field is required.")),
            ({"name": ""}, ("model.name", ID_RULE)),
            ({"name": "a" * 129}, ("model.name", "A name should have at most 128 characters; this one has 129.")),
            ({"name": "m", "regions": ["a", "b"]}, ("model.regions", "Only one region is supported.")),
            ({"name": "m", "labels": []}, ("model.labels", "Expected an object, got [].")),
            ({"name": "m", "displayName": "x"}, ("model", UNKNOWN)),
        ],
    )
    def test_what_is_wrong_is_named_by_its_field(self, idle: World, document, expected):
        with pytest.raises(InvalidJob) as raised:
            idle.registry.create_model(PROJECT, document, ANN.member)
        assert violations(raised.value) == [expected]


class TestList:
    def test_pages_are_in_the_order_of_creation(self, idle: World):
        names = [f"m{number}" for number in range(5)]
        for name in names:
            idle.create_model(name)
        first, following = idle.registry.models(PROJECT, size=3)
        second, end = idle.registry.models(PROJECT, size=3, after=following)
        assert [one["name"].rpartition("/")[2] for one in (*first, *second)] == names
        assert end is None

    def test_a_filter_leaves_out_what_does_not_match(self, idle: World):
        idle.create_model("red", labels={"team": "red"})
        idle.create_model("blue", labels={"team": "blue"})
        found, _ = idle.registry.models(PROJECT, where=Comparison("labels.team", "=", "blue"))
        assert [one["name"] for one in found] == [f"projects/{PROJECT}/models/blue"]

    def test_versions_of_a_model_that_is_not_there_are_missing(self, idle: World):
        with pytest.raises(ResourceMissing):
            idle.registry.versions(PROJECT, "census")


class TestPatch:
    def test_the_operation_is_done_and_has_the_model(self, idle: World):
        idle.create_model(description="old", labels={"a": "1"})
        body = {"description": "new", "labels": {"b": "2"}}
        operation = idle.registry.patch_model(PROJECT, "census", body, ["description", "labels"])
        found = idle.registry.model(PROJECT, "census")
        assert operation["done"] is True
        assert operation["metadata"]["operationType"] == "UPDATE_MODEL"
        assert operation["response"] == {"@type": "type.googleapis.com/google.cloud.ml.v1.Model", **found}
        assert (found["description"], found["labels"]) == ("new", {"b": "2"})
        assert idle.registry.operation(PROJECT, operation["name"].rpartition("/")[2]) == operation

    def test_the_default_version_is_changed_by_its_name(self, here: World):
        here.ready_version(name="v1")
        here.ready_version(name="v2")
        body = {"defaultVersion": {"name": "v2"}}
        here.registry.patch_model(PROJECT, "census", body, ["default_version.name"])
        assert here.registry.model(PROJECT, "census")["defaultVersion"]["name"].endswith("/v2")

    @pytest.mark.parametrize("name", ["v9", f"{NAME}/versions/v9"])
    def test_a_default_that_is_not_there_is_missing(self, idle: World, name):
        idle.create_model()
        with pytest.raises(ResourceMissing, match='The version resource: "v9"'):
            idle.registry.patch_model(
                PROJECT, "census", {"defaultVersion": {"name": name}}, ["default_version.name"]
            )

    @pytest.mark.parametrize("value", [None, "v1", {}, {"name": f"projects/{PROJECT}/models/other/versions/v1"}])
    def test_a_default_that_is_no_version_of_the_model_is_refused(self, idle: World, value):
        idle.create_model()
        with pytest.raises(InvalidJob, match=r"Field: model\.default_version\.name"):
            idle.registry.patch_model(PROJECT, "census", {"defaultVersion": value}, ["default_version.name"])

    def test_an_etag_that_is_not_the_stored_one_is_refused(self, idle: World):
        created = idle.create_model()
        body = {"description": "x", "etag": created["etag"]}
        idle.registry.patch_model(PROJECT, "census", body, ["description"])
        with pytest.raises(Stale):
            idle.registry.patch_model(PROJECT, "census", body, ["description"])

    def test_without_a_mask_what_is_given_is_changed(self, idle: World):
        idle.create_model(description="old", labels={"a": "1"})
        idle.registry.patch_model(PROJECT, "census", {"description": "new"}, [])
        found = idle.registry.model(PROJECT, "census")
        assert (found["description"], found["labels"]) == ("new", {"a": "1"})

    def test_labels_that_are_masked_and_not_given_are_taken_away(self, idle: World):
        idle.create_model(labels={"a": "1"})
        idle.registry.patch_model(PROJECT, "census", {}, ["labels"])
        assert "labels" not in idle.registry.model(PROJECT, "census")

    @pytest.mark.parametrize("mask", [["name"], ["regions"], ["description", "nothing"], []])
    def test_what_cannot_be_changed_is_named(self, idle: World, mask):
        idle.create_model()
        with pytest.raises(InvalidJob) as raised:
            idle.registry.patch_model(PROJECT, "census", {}, mask)
        assert [field for field, _ in violations(raised.value)] == ["update_mask"]


class TestDelete:
    def test_one_without_versions_is_gone_and_its_name_is_free(self, idle: World):
        idle.create_model()
        operation = idle.registry.delete_model(PROJECT, "census")
        assert (operation["done"], operation["metadata"]["operationType"]) == (True, "DELETE_MODEL")
        with pytest.raises(ResourceMissing, match="batchpredict models create census"):
            idle.registry.model(PROJECT, "census")
        idle.create_model()

    def test_one_with_versions_stays(self, idle: World):
        idle.create_model()
        idle.create_version(idle.model_folder())
        with pytest.raises(ResourceInUse, match="Cannot delete a model that has versions"):
            idle.registry.delete_model(PROJECT, "census")
