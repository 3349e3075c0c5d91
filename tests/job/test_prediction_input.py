from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batchpredict.job import UNLIMITED, DataFormat, ErrorBudget, Job, PredictionInput

Faults = Callable[..., list[tuple[str, str]]]
Build = Callable[..., dict[str, Any]]


def _read(document: dict[str, Any]) -> PredictionInput:
    asked = Job.parse(document).prediction_input
    assert asked is not None
    return asked


def test_the_smallest_input_is_legal(prediction_faults: Faults) -> None:
    assert prediction_faults() == []


@pytest.mark.parametrize("name", ["dataFormat", "inputPaths", "outputPath", "region"])
@pytest.mark.parametrize("absent", [..., None])
def test_a_required_field_is_missed_by_name(prediction_faults: Faults, name: str, absent: object) -> None:
    path = {"dataFormat": "data_format", "inputPaths": "input_paths", "outputPath": "output_path"}.get(name, name)
    assert prediction_faults(**{name: absent}) == [(f"prediction_input.{path}", "This field is required.")]


@pytest.mark.parametrize("name", ["outputPath", "region"])
def test_a_blank_text_is_an_absent_one(prediction_faults: Faults, name: str) -> None:
    assert [text for _, text in prediction_faults(**{name: " "})] == ["This field is required."]


def test_input_paths_must_not_be_empty(prediction_faults: Faults) -> None:
    expected = [("prediction_input.input_paths", "At least one path is required.")]
    assert prediction_faults(inputPaths=[]) == expected


def test_an_empty_input_path_is_refused_by_its_index(prediction_faults: Faults) -> None:
    assert prediction_faults(inputPaths=["a", "  "]) == [("prediction_input.input_paths[1]", "An empty item.")]


def test_blanks_around_input_paths_are_dropped(prediction: Build) -> None:
    assert _read(prediction(inputPaths=[" a ", "b"])).input_paths == ("a", "b")


def test_a_text_is_no_list_of_paths(prediction_faults: Faults) -> None:
    expected = [("prediction_input.input_paths", 'Expected a list, got "gs://a".')]
    assert prediction_faults(inputPaths="gs://a") == expected


@pytest.mark.parametrize("name", ["TEXT", "JSON", "TF_RECORD", "TF_RECORD_GZIP", "PARQUET"])
def test_an_input_format_is_accepted(prediction: Build, name: str) -> None:
    assert _read(prediction(dataFormat=name)).data_format is DataFormat(name)


@pytest.mark.parametrize("name", ["DATA_FORMAT_UNSPECIFIED", "CSV"])
def test_what_is_no_input_format_is_refused(prediction_faults: Faults, name: str) -> None:
    ((field, text),) = prediction_faults(dataFormat=name)
    assert field == "prediction_input.data_format"
    assert text.startswith(f"{name} is not a format of input files; expected one of JSON, TEXT,")


def test_a_format_that_does_not_exist_is_answered_with_those_that_do(prediction_faults: Faults) -> None:
    ((_, text),) = prediction_faults(dataFormat="TFRECORD")
    assert text == (
        'Expected one of JSON, TEXT, TF_RECORD, TF_RECORD_GZIP, PARQUET, got "TFRECORD". Did you mean "TF_RECORD"?'
    )


def test_an_output_format_that_does_not_exist_is_answered_with_those_that_the_field_takes(
    prediction_faults: Faults,
) -> None:
    ((_, text),) = prediction_faults(outputDataFormat="XML")
    assert text == 'Expected one of JSON, CSV, PARQUET, got "XML".'


@pytest.mark.parametrize("name", ["TEXT", "TF_RECORD"])
def test_what_is_no_output_format_is_refused(prediction_faults: Faults, name: str) -> None:
    ((field, text),) = prediction_faults(outputDataFormat=name)
    assert field == "prediction_input.output_data_format"
    assert text.endswith("expected one of JSON, CSV, PARQUET.")


@pytest.mark.parametrize(
    "model",
    [
        {"modelName": "projects/p/models/m"},
        {"versionName": "projects/p/models/m/versions/v"},
        {"uri": "gs://bucket/model"},
        {"uri": "gs://bucket/model", "versionName": ""},
    ],
)
def test_one_model_is_enough(prediction_faults: Faults, model: dict[str, str]) -> None:
    assert prediction_faults(**{"modelName": ..., **model}) == []


def test_no_model_is_refused(prediction_faults: Faults) -> None:
    ((field, text),) = prediction_faults(modelName=...)
    assert field == "prediction_input"
    assert text == "Exactly one of model_name, version_name and uri is required; found none of them."


def test_two_models_are_refused(prediction_faults: Faults) -> None:
    ((_, text),) = prediction_faults(uri="gs://bucket/model")
    assert text.endswith("found model_name and uri.")


@pytest.mark.parametrize("name", ["census", "projects/p/models/m/versions/v", "projects/p/models/a-b"])
def test_a_model_name_of_another_form_is_refused_with_the_form(prediction_faults: Faults, name: str) -> None:
    ((field, text),) = prediction_faults(modelName=name)
    assert field == "prediction_input.model_name"
    assert 'of the form "projects/PROJECT/models/MODEL"' in text


def test_a_version_name_of_another_form_is_refused_with_the_form(prediction_faults: Faults) -> None:
    ((field, text),) = prediction_faults(modelName=..., versionName="projects/p/models/m")
    assert field == "prediction_input.version_name"
    assert 'of the form "projects/PROJECT/models/MODEL/versions/VERSION"' in text


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("batchSize", "batch_size"),
        ("maxWorkerCount", "max_worker_count"),
        ("maxRecordBytes", "max_record_bytes"),
        ("splitBytes", "split_bytes"),
    ],
)
@pytest.mark.parametrize("value", [0, "-1"])
def test_a_count_below_one_is_refused(prediction_faults: Faults, name: str, path: str, value: object) -> None:
    expected = [(f"prediction_input.{path}", f"Expected at least 1, got {value}.")]
    assert prediction_faults(**{name: value}) == expected


@pytest.mark.parametrize("value", [128, "128", 128.0])
def test_a_batch_size_is_read_from_a_number_or_a_string(prediction: Build, value: object) -> None:
    assert _read(prediction(batchSize=value)).batch_size == 128


def test_defaults_are_known_beside_the_fields(prediction: Build) -> None:
    asked = _read(prediction())
    assert asked.batch_size is None
    assert asked.effective_batch_size == 64
    assert asked.effective_max_worker_count == 10
    assert asked.effective_output_data_format is DataFormat.JSON
    assert asked.effective_max_errors is UNLIMITED
    assert asked.effective_max_record_bytes == 64 * 1024 * 1024
    assert asked.split_bytes is None
    assert asked.effective_instance_config.key_field is None


def test_what_is_given_stands_before_the_defaults(prediction: Build) -> None:
    asked = _read(
        prediction(
            batchSize=1,
            maxWorkerCount=2,
            outputDataFormat="CSV",
            maxErrors="1%",
            maxRecordBytes=3,
            splitBytes=4,
        )
    )
    assert asked.effective_batch_size == 1
    assert asked.effective_max_worker_count == 2
    assert asked.effective_output_data_format is DataFormat.CSV
    assert asked.effective_max_errors == ErrorBudget.read("1%")
    assert asked.effective_max_record_bytes == 3
    assert asked.split_bytes == 4


def test_an_unspecified_output_format_is_json(prediction: Build) -> None:
    asked = _read(prediction(outputDataFormat="DATA_FORMAT_UNSPECIFIED"))
    assert asked.effective_output_data_format is DataFormat.JSON


def test_a_budget_that_cannot_be_read_is_refused(prediction_faults: Faults) -> None:
    ((field, text),) = prediction_faults(maxErrors="some")
    assert field == "prediction_input.max_errors"
    assert text.endswith('got "some".')


def test_a_budget_goes_out_as_text(prediction: Build) -> None:
    assert _read(prediction(maxErrors=10)).to_wire()["maxErrors"] == "10"


def test_included_and_excluded_fields_exclude_each_other(prediction_faults: Faults) -> None:
    ((field, text),) = prediction_faults(instanceConfig={"includedFields": ["a"], "excludedFields": ["b"]})
    assert field == "prediction_input.instance_config.excluded_fields"
    assert text.startswith("At most one of")


@pytest.mark.parametrize("name", ["includedFields", "excludedFields"])
def test_the_key_field_is_in_no_list(prediction_faults: Faults, name: str) -> None:
    ((field, _),) = prediction_faults(instanceConfig={"keyField": "id", name: ["id"]})
    assert field == "prediction_input.instance_config.key_field"


@pytest.mark.parametrize("output", ["CSV", "PARQUET"])
def test_included_fields_need_json_output(prediction_faults: Faults, output: str) -> None:
    ((field, text),) = prediction_faults(outputDataFormat=output, instanceConfig={"includedFields": ["a"]})
    assert field == "prediction_input.instance_config.included_fields"
    assert f"Cannot be combined with output_data_format {output}" in text


@pytest.mark.parametrize("output", ["CSV", "PARQUET"])
def test_a_key_field_is_a_column_like_another(prediction_faults: Faults, output: str) -> None:
    assert prediction_faults(outputDataFormat=output, instanceConfig={"keyField": "id"}) == []


def test_the_machines_of_a_job(prediction: Build) -> None:
    asked = _read(prediction(workerType="n1-standard-4", accelerator={"type": "NVIDIA_TESLA_T4", "count": "2"}))
    assert asked.worker_type == "n1-standard-4"
    assert asked.accelerator is not None
    assert (asked.accelerator.type, asked.accelerator.count) == ("NVIDIA_TESLA_T4", 2)


@pytest.mark.parametrize("accelerator", [{}, {"count": 1}, {"type": " "}])
def test_an_accelerator_has_a_type(prediction_faults: Faults, accelerator: dict[str, Any]) -> None:
    expected = [("prediction_input.accelerator.type", "This field is required.")]
    assert prediction_faults(accelerator=accelerator) == expected
