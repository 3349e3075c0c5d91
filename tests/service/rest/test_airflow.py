"""What Airflow's MLEngine operators ask for and expect (provider 14.1.0, cmle-behaviour §9), call by call."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import support
from googleapiclient.errors import HttpError
from service.rest_support import PROJECT, World

P = f"projects/{PROJECT}"
LABEL = {"airflow-version": "v2-10-5"}
POLLS = 9


@pytest.fixture
def jobs(world) -> Any:
    return world.ml().projects().jobs()


@pytest.fixture
def models(world) -> Any:
    return world.ml().projects().models()


def create_or_wait(world: World, body: dict[str, Any]) -> dict[str, Any]:
    """The job that a create has made, or the one that is there if it asks for the same."""
    jobs = world.ml().projects().jobs()
    try:
        jobs.create(parent=P, body=body).execute()
    except HttpError as error:
        if error.resp.status != 409:
            raise
    found: dict[str, Any] = jobs.get(name=f"{P}/jobs/{body['jobId']}").execute()
    if found.get("predictionInput") != body.get("predictionInput"):
        raise ValueError("another job of this id")
    return found


def done(world: World, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation, polled as Airflow does, with a quarter of its waits."""
    assert re.fullmatch(r"projects/[^/]+/operations/[^/]+", operation["name"])
    operations = world.ml().projects().operations()
    for attempt in range(POLLS):
        answer: dict[str, Any] = operations.get(name=operation["name"]).execute()
        if answer.get("done"):
            assert "error" not in answer
            return answer
        time.sleep(0.25 * 2**attempt)
    raise AssertionError("The operation is not done in time.")


def create_version(world: World, model: str, version: str) -> dict[str, Any]:
    body = {"name": version, "deploymentUri": world.model, "runtimeVersion": "2.1", "labels": dict(LABEL)}
    versions = world.ml().projects().models().versions()
    return done(world, versions.create(parent=f"{P}/models/{model}", body=body).execute())


class TestBatchPrediction:
    @pytest.mark.parametrize("workers", [3, "3"])
    def test_a_job_that_is_there_already_is_recognized_by_its_input(self, world, workers):
        body = world.job(f"again_{type(workers).__name__}", maxWorkerCount=workers)
        body["labels"] = dict(LABEL)
        assert create_or_wait(world, body)["state"] == "QUEUED"
        assert create_or_wait(world, body)["predictionInput"] == body["predictionInput"]

    def test_a_job_of_the_same_id_that_asks_for_something_else_is_told_apart(self, world):
        create_or_wait(world, world.job("other", batchSize=10))
        with pytest.raises(ValueError, match="another job"):
            create_or_wait(world, world.job("other", batchSize="10"))

    def test_nulls_come_back_in_the_input_so_that_it_compares_equal(self, world):
        body = world.job("nulls", runtimeVersion=None, signatureName=None, modelName=None)
        assert create_or_wait(world, body)["predictionInput"] == body["predictionInput"]

    def test_a_job_that_is_there_is_told_so_even_if_its_input_files_are_gone(self, world, tmp_path):
        body = world.job("gone", inputPaths=[world.inputs])
        create_or_wait(world, body)
        body["predictionInput"]["inputPaths"] = [f"{world.folder}/no-such-file"]
        with pytest.raises(ValueError, match="another job"):
            create_or_wait(world, body)

    def test_a_job_that_ends_well_has_its_output(self, world, jobs):
        create_or_wait(world, world.job("well"))
        generation = world.run("well")
        output = {"outputPath": f"{world.folder}/well", "predictionCount": "1", "errorCount": "0", "nodeHours": 0.5}
        world.end("well", generation, output)
        job = jobs.get(name=f"{P}/jobs/well").execute()
        assert job["state"] == "SUCCEEDED"
        assert job["predictionOutput"] == output
        assert "errorMessage" not in job

    def test_a_job_that_failed_says_why(self, world, jobs):
        create_or_wait(world, world.job("badly"))
        world.end("badly", world.run("badly"), error="The disk is full.")
        job = jobs.get(name=f"{P}/jobs/badly").execute()
        assert (job["state"], job["errorMessage"]) == ("FAILED", "The disk is full.")

    def test_a_cancelled_job_says_that_it_was(self, world, jobs):
        create_or_wait(world, world.job("stopped"))
        assert jobs.cancel(name=f"{P}/jobs/stopped").execute() == {}
        job = jobs.get(name=f"{P}/jobs/stopped").execute()
        assert (job["state"], job["errorMessage"]) == ("CANCELLED", "The job was cancelled by a request.")

    def test_cancelling_what_has_ended_is_400_and_what_is_not_there_404(self, world, jobs):
        create_or_wait(world, world.job("ended"))
        jobs.cancel(name=f"{P}/jobs/ended").execute()
        for name, code in (("ended", 400), ("never_was", 404)):
            with pytest.raises(HttpError) as raised:
                jobs.cancel(name=f"{P}/jobs/{name}").execute()
            assert raised.value.resp.status == code


class TestTraining:
    def test_nulls_are_absent_and_come_back_as_they_were_sent(self, jobs, world):
        package = support.write(f"{world.folder}/trainer.tar.gz", b"")
        asked = {
            "scaleTier": "BASIC",
            "packageUris": [package],
            "pythonModule": "trainer.task",
            "region": "us-central1",
            "args": ["--epochs", "1"],
            "runtimeVersion": None,
            "pythonVersion": None,
            "jobDir": None,
            "masterType": None,
            "hyperparameters": None,
        }
        body = {"jobId": "train", "trainingInput": asked, "labels": dict(LABEL)}
        assert jobs.create(parent=P, body=body).execute()["trainingInput"] == asked
        assert jobs.get(name=f"{P}/jobs/train").execute()["trainingInput"] == asked


class TestModels:
    def test_a_model_that_is_there_already_is_told_by_one_violation_in_these_words(self, models):
        body = {"name": "twice", "labels": dict(LABEL)}
        models.create(parent=P, body=body).execute()
        with pytest.raises(HttpError) as raised:
            models.create(parent=P, body=body).execute()
        assert raised.value.resp.status == 409
        assert raised.value.error_details == [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [
                    {"field": "model.name", "description": "A model with the same name already exists."}
                ],
            }
        ]
        assert models.get(name=f"{P}/models/twice").execute()["name"] == f"{P}/models/twice"

    def test_a_model_that_is_not_there_is_404(self, models):
        with pytest.raises(HttpError) as raised:
            models.get(name=f"{P}/models/never_was").execute()
        assert raised.value.resp.status == 404

    def test_versions_are_created_polled_made_the_default_listed_and_deleted(self, world, models):
        name = f"{P}/models/life"
        models.create(parent=P, body={"name": "life", "labels": dict(LABEL)}).execute()
        versions = models.versions()
        for version in ("v1", "v2", "v3"):
            answer = create_version(world, "life", version)
            assert answer["response"]["name"].endswith(f"/{version}")
        assert models.get(name=name).execute()["defaultVersion"]["name"] == f"{name}/versions/v1"

        default = versions.setDefault(name=f"{name}/versions/v2", body={}).execute()
        assert (default["name"], default["isDefault"]) == (f"{name}/versions/v2", True)

        listed, request = [], versions.list(parent=name, pageSize=100)
        while request is not None:
            page = request.execute()
            listed += [version["name"] for version in page.get("versions", [])]
            request = versions.list_next(request, page)
        assert listed == [f"{name}/versions/v1", f"{name}/versions/v2", f"{name}/versions/v3"]

        with pytest.raises(HttpError) as raised:
            versions.delete(name=f"{name}/versions/v2").execute()
        assert raised.value.resp.status == 400
        for version in ("v1", "v3", "v2"):
            done(world, versions.delete(name=f"{name}/versions/{version}").execute())
        done(world, models.delete(name=name).execute())
        assert versions_left(world, name) == 404

    @pytest.mark.long
    def test_a_model_with_versions_is_deleted_with_its_contents_one_by_one(self, world, models):
        name = f"{P}/models/contents"
        models.create(parent=P, body={"name": "contents"}).execute()
        for version in ("v1", "v2"):
            create_version(world, "contents", version)
        with pytest.raises(HttpError) as raised:
            models.delete(name=name).execute()
        assert raised.value.resp.status == 400
        found = models.versions().list(parent=name).execute()["versions"]
        # As the operator does it: those that are not the default first.
        for version in sorted(found, key=lambda one: one.get("isDefault", False)):
            done(world, models.versions().delete(name=version["name"]).execute())
        done(world, models.delete(name=name).execute())

    def test_a_batch_prediction_names_a_model_or_a_version(self, world, models):
        models.create(parent=P, body={"name": "named"}).execute()
        create_version(world, "named", "v1")
        for number, model in enumerate(
            ({"modelName": f"{P}/models/named"}, {"versionName": f"{P}/models/named/versions/v1"})
        ):
            body = world.job(f"by_name_{number}", uri=None, **model)
            del body["predictionInput"]["uri"]
            assert create_or_wait(world, body)["predictionInput"] == body["predictionInput"]

    def test_a_model_that_a_job_names_and_that_is_not_there_is_404_in_the_words_of_the_service(self, world, jobs):
        body = world.job("no_model", versionName=f"{P}/models/dnn_airflow/versions/v1")
        del body["predictionInput"]["uri"]
        with pytest.raises(HttpError) as raised:
            jobs.create(parent=P, body=body).execute()
        assert raised.value.resp.status == 404
        assert raised.value.reason.startswith(
            'Field: prediction_input.version_name Error: The model resource: "dnn_airflow" was not found.'
        )


def versions_left(world: World, model: str) -> int:
    try:
        found = world.ml().projects().models().versions().list(parent=model).execute()
    except HttpError as error:
        return int(error.resp.status)
    return len(found["versions"])
