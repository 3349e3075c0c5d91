from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from batchpredict.errors import InvalidJob
from batchpredict.job import Job, PredictionOutput, State, TrainingOutput

Faults = Callable[..., list[tuple[str, str]]]
Build = Callable[..., dict[str, Any]]
ID_RULE = "A name should start with a letter and contain only letters, numbers and underscores."


def _unknown(name: str, holder: str) -> str:
    return f"Invalid JSON payload received. Unknown name \"{name}\" at '{holder}': Cannot find field."


@pytest.mark.parametrize("job_id", ["a", "Census_2017", "z" * 128])
def test_a_legal_id_is_taken(prediction: Build, job_id: str) -> None:
    assert Job.parse({**prediction(), "jobId": job_id}).job_id == job_id


@pytest.mark.parametrize("job_id", ["", "1a", "_a", "a-b", "a.b", "a b", "é", "a\n"])
def test_an_illegal_id_is_refused_in_the_words_of_the_service(
    prediction: Build, faults: Faults, job_id: str
) -> None:
    assert faults({**prediction(), "jobId": job_id}) == [("job.job_id", ID_RULE)]


def test_an_id_of_129_characters_is_refused(prediction: Build, faults: Faults) -> None:
    ((_, text),) = faults({**prediction(), "jobId": "a" * 129})
    assert text == "A name should have at most 128 characters; this one has 129."


def test_an_id_is_required(prediction_input: dict[str, Any], faults: Faults) -> None:
    assert faults({"predictionInput": prediction_input}) == [("job.job_id", "This field is required.")]


def test_one_input_is_required(faults: Faults) -> None:
    text = "Exactly one of training_input and prediction_input is required; found neither."
    assert faults({"jobId": "a"}) == [("job", text)]


def test_two_inputs_are_refused(prediction: Build, training: Build, faults: Faults) -> None:
    ((field, text),) = faults({**prediction(), **training()})
    assert field == "job"
    assert text.endswith("found both.")


def test_an_unknown_field_is_refused_in_the_words_of_the_service(prediction: Build, faults: Faults) -> None:
    found = faults({**prediction(), "parameter_server_type": "standard"})
    assert found == [("job", _unknown("parameter_server_type", "job"))]


def test_an_unknown_field_inside_names_the_object_that_holds_it(prediction_faults: Faults) -> None:
    expected = [("job.prediction_input", _unknown("framework", "job.prediction_input"))]
    assert prediction_faults(framework="TENSORFLOW") == expected


def test_an_unknown_field_of_a_list_item_names_the_item(training_faults: Faults) -> None:
    param = {"parameterName": "x", "type": "CATEGORICAL", "categoricalValues": ["a"], "unit": "s"}
    holder = "job.training_input.hyperparameters.params[0]"
    assert training_faults(hyperparameters={"params": [param]}) == [(holder, _unknown("unit", holder))]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("batchsize", "batchSize"),
        ("batch_sise", "batch_size"),
        ("maxWorkers", "maxWorkerCount"),
        ("Uri", "uri"),
    ],
)
def test_a_near_miss_is_answered_with_the_name_that_was_meant(
    prediction_faults: Faults, given: str, meant: str
) -> None:
    ((_, text),) = prediction_faults(**{given: 1})
    assert text == f'{_unknown(given, "job.prediction_input")} Did you mean "{meant}"?'


def test_an_unknown_field_is_refused_even_if_it_is_null(prediction_faults: Faults) -> None:
    assert len(prediction_faults(nothing=None)) == 1


def test_a_field_in_both_spellings_is_refused_by_name(prediction_faults: Faults) -> None:
    assert prediction_faults(batchSize=1, batch_size=1) == [
        (
            "job.prediction_input",
            "Invalid JSON payload received. Field \"batch_size\" at 'job.prediction_input' is given twice:"
            ' as "batchSize" and in another spelling. Keep one.',
        )
    ]


def test_a_field_twice_in_one_text_is_refused_by_name(faults: Faults) -> None:
    text = 'Invalid JSON payload received. The name "jobId" appears twice in one object.'
    assert faults('{"jobId": "a", "jobId": "b"}') == [("", text)]


def test_everything_that_is_wrong_is_said_at_once_and_in_order(faults: Faults) -> None:
    found = faults(
        {
            "predictionInput": {
                "batchSize": "1e3",
                "mystery": 1,
                "uri": "gs://m",
                "modelName": "projects/p/models/m",
                "dataFormat": "CSV",
                "instanceConfig": {"keyField": "k", "excludedFields": ["k"]},
                "inputPaths": ["a", ""],
            },
            "jobId": "1",
            "state": "DONE",
        }
    )
    assert [field for field, _ in found] == [
        "prediction_input",
        "prediction_input.batch_size",
        "job.prediction_input",
        "prediction_input.data_format",
        "prediction_input.instance_config.key_field",
        "prediction_input.input_paths[1]",
        "prediction_input.output_path",
        "prediction_input.region",
        "job.job_id",
        "job.state",
    ]


def test_an_input_that_is_no_object_is_refused_once(faults: Faults) -> None:
    assert faults({"jobId": "a", "predictionInput": []}) == [("prediction_input", "Expected an object, got [].")]


def test_text_that_is_no_json_is_refused_with_its_place(faults: Faults) -> None:
    ((field, text),) = faults(b'{"jobId": "a",\n  "labels" 1}')
    assert field == ""
    assert text == "Invalid JSON payload received. Expecting ':' delimiter at line 2 column 12."


def test_bytes_that_are_no_utf8_are_refused_with_their_place(faults: Faults) -> None:
    expected = [("", "Invalid JSON payload received. Not UTF-8 at line 2 column 4.")]
    assert faults(b'{\n  "\xff": 1}') == expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', '{"a": ' + "9" * 5000 + "}", '"a"'],
)
def test_what_is_no_json_object_is_one_violation(faults: Faults, text: str) -> None:
    ((field, message),) = faults(text)
    assert field == ""
    assert message.startswith("Invalid JSON payload received. ")
    assert len(message) < 200


@pytest.mark.parametrize("value", [float("nan"), b"bytes", {1: 2}, {"set"}, object()])
def test_a_mapping_holds_only_what_json_can(faults: Faults, value: object) -> None:
    ((field, message),) = faults({"jobId": value})
    assert field == ""
    assert message.startswith("Invalid JSON payload received. ")


def test_a_lone_surrogate_is_refused_in_a_message_that_can_be_sent(faults: Faults) -> None:
    found = faults('{"jobId": "\\ud800", "\\udc00": 1}')
    assert found
    json.dumps(found, ensure_ascii=False).encode()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_value_of_a_field_escapes_as_another_error(value: object) -> None:
    for name in (
        "jobId",
        "predictionInput",
        "labels",
        "createTime",
        "jobPosition",
        "trainingOutput",
        "state",
    ):
        with pytest.raises(InvalidJob):
            Job.parse({name: value})


def test_a_job_is_read_from_bytes_text_or_mapping(prediction: Build) -> None:
    document = prediction()
    text = json.dumps(document)
    read = [Job.parse(data) for data in (text, text.encode(), document, MappingProxyType(document))]
    assert read == [read[0]] * 4


def test_a_byte_order_mark_is_no_error(prediction: Build) -> None:
    assert Job.parse(b"\xef\xbb\xbf" + json.dumps(prediction()).encode()).job_id == "scores_1"


def test_the_input_comes_back_exactly_as_it_was_sent(prediction: Build) -> None:
    document = prediction(
        batchSize=64, maxWorkerCount="3", max_errors=1.0, inputPaths=[" a "], uri=None, splitBytes=1.0
    )
    echoed = Job.parse(document).to_wire()["predictionInput"]
    assert json.dumps(echoed) == json.dumps(document["predictionInput"])


def test_a_job_in_snake_case_is_answered_in_camel_case_around_its_input(
    training_input: dict[str, Any],
) -> None:
    job = Job.parse({"job_id": "a", "training_input": training_input, "labels": {"a_b": "c"}})
    assert job.to_wire() == {"jobId": "a", "trainingInput": training_input, "labels": {"a_b": "c"}}


def test_changing_what_to_wire_gave_changes_no_job(prediction: Build) -> None:
    job = Job.parse(prediction())
    job.to_wire()["predictionInput"]["inputPaths"].append("x")
    assert job.to_wire() == prediction()


def test_changing_what_was_parsed_changes_no_job(prediction: Build) -> None:
    document = prediction()
    job = Job.parse(document)
    document["predictionInput"]["inputPaths"].append("x")
    assert job.to_wire() == prediction()


def test_an_input_that_was_changed_is_no_longer_echoed(prediction: Build) -> None:
    asked = Job.parse(prediction(batchSize=64)).prediction_input
    assert asked is not None
    assert asked.model_copy(update={"batch_size": 8}).echo()["batchSize"] == "8"


def test_inputs_that_ask_for_the_same_are_equal(prediction: Build) -> None:
    one, other = (Job.parse(prediction(batchSize=size)).prediction_input for size in (64, "64"))
    assert one == other
    assert hash(one) == hash(other)


def test_a_job_survives_pickling_with_its_echo(prediction: Build) -> None:
    job = Job.parse(prediction(batchSize=64))
    again = pickle.loads(pickle.dumps(job))
    assert again == job
    assert again.to_wire() == prediction(batchSize=64)


@pytest.fixture
def stored(prediction: Build) -> dict[str, Any]:
    return {
        **prediction(),
        "createTime": "2017-12-13T01:21:04.123456789Z",
        "startTime": "2017-12-13T01:22:04Z",
        "endTime": "2017-12-13T01:23:04Z",
        "state": "SUCCEEDED",
        "errorMessage": "",
        "predictionOutput": {
            "outputPath": "gs://bucket/out",
            "predictionCount": "9007199254740993",
            "errorCount": "0",
            "nodeHours": 0.25,
        },
        "labels": {"team": "ads"},
        "etag": "fhCHZ7hsq10=",
        "jobPosition": "0",
    }


def test_a_stored_job_comes_back_equal(stored: dict[str, Any]) -> None:
    assert Job.parse(stored).to_wire() == stored


def test_a_submitted_job_loses_what_only_the_service_writes(stored: dict[str, Any], prediction: Build) -> None:
    assert Job.submitted(stored).to_wire() == {**prediction(), "labels": {"team": "ads"}}


def test_what_only_the_service_writes_is_not_even_read_from_a_submitted_job(prediction: Build) -> None:
    job = Job.submitted({**prediction(), "state": 5, "create_time": "now", "predictionOutput": {"x": 1}})
    assert job.to_wire() == prediction()


def test_a_submitted_job_obeys_every_other_rule(prediction: Build) -> None:
    with pytest.raises(InvalidJob, match='Unknown name "stat"'):
        Job.submitted({**prediction(), "stat": 5})


def test_an_output_belongs_to_its_input(prediction: Build, faults: Faults) -> None:
    expected = [("job.training_output", "Only a job with a training_input can have it.")]
    assert faults({**prediction(), "trainingOutput": {}}) == expected


def test_a_replaced_field_is_checked_and_the_echo_stays(prediction: Build) -> None:
    job = Job.parse(prediction(batchSize=64)).replace(
        state=State.RUNNING, prediction_output=PredictionOutput(prediction_count=5)
    )
    assert job.to_wire() == {
        **prediction(batchSize=64),
        "state": "RUNNING",
        "predictionOutput": {"predictionCount": "5"},
    }
    with pytest.raises(ValidationError):
        job.replace(state="DONE")
    with pytest.raises(ValidationError):
        job.replace(colour="red")


def test_none_unsets_a_replaced_field(stored: dict[str, Any]) -> None:
    assert Job.parse(stored).replace(job_position=None).job_position is None


@pytest.mark.parametrize(
    ("state", "done"), [("QUEUED", False), ("CANCELLING", False), ("CANCELLED", True), ("FAILED", True)]
)
def test_a_job_is_done_in_a_terminal_state(prediction: Build, state: str, done: bool) -> None:
    assert Job.parse({**prediction(), "state": state}).is_done is done


@pytest.mark.parametrize("name", ["consumedMlUnits", "consumedMLUnits", "consumed_ml_units"])
def test_ml_units_are_read_under_every_name_and_written_under_both(training: Build, name: str) -> None:
    job = Job.parse({**training(), "trainingOutput": {name: 0.06}})
    assert job.to_wire()["trainingOutput"] == {"consumedMlUnits": 0.06, "consumedMLUnits": 0.06}
    assert Job.parse(job.to_wire()) == job


def test_ml_units_that_contradict_each_other_are_refused(training: Build, faults: Faults) -> None:
    ((_, text),) = faults({**training(), "trainingOutput": {"consumedMLUnits": 1, "consumedMlUnits": 2}})
    assert "is given twice" in text


def test_the_trials_of_a_tuning_job_come_back_equal(training: Build) -> None:
    output = {
        "completedTrialCount": "1",
        "trials": [
            {
                "trialId": "1",
                "hyperparameters": {"lr": "0.43833827339355613"},
                "finalMetric": {"trainingStep": "1000", "objectiveValue": "NaN"},
                "allMetrics": [{"trainingStep": "1", "objectiveValue": 0.5}],
                "state": "SUCCEEDED",
                "startTime": "2020-01-01T00:00:00Z",
                "endTime": "2020-01-01T00:01:00Z",
                "isTrialStoppedEarly": False,
            }
        ],
        "isHyperparameterTuningJob": True,
        "isBuiltInAlgorithmJob": False,
        "hyperparameterMetricTag": "loss",
    }
    assert Job.parse({**training(), "trainingOutput": output}).to_wire()["trainingOutput"] == output
    assert TrainingOutput.model_validate(output).to_wire() == output


counts = st.integers(1, 2**63 - 1)
int64s = counts | counts.map(str)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())

inputs = st.fixed_dictionaries(
    {
        "dataFormat": st.sampled_from(["TEXT", "JSON", "TF_RECORD", "TF_RECORD_GZIP", "PARQUET"]),
        "inputPaths": st.lists(texts, min_size=1, max_size=3),
        "outputPath": texts,
        "region": texts,
        "uri": texts,
    },
    optional={
        "batchSize": int64s,
        "max_worker_count": int64s,
        "splitBytes": int64s,
        "maxErrors": st.integers(0, 1000) | st.integers(0, 100).map(lambda share: f"{share}%"),
        "outputDataFormat": st.sampled_from(["JSON", "CSV", "PARQUET"]),
        "instanceConfig": st.fixed_dictionaries({}, optional={"keyField": names}),
        "signatureName": st.none() | names,
    },
)
documents = st.fixed_dictionaries(
    {"jobId": names, "predictionInput": inputs},
    optional={
        "state": st.sampled_from([state.value for state in State]),
        "errorMessage": texts,
        "labels": st.dictionaries(texts, texts, max_size=3),
        "jobPosition": st.integers(0, 2**63 - 1).map(str),
    },
)


@given(documents)
def test_what_was_sent_comes_back_equal(document: dict[str, Any]) -> None:
    assert Job.parse(document).to_wire() == document


@given(documents)
def test_a_job_and_its_text_are_the_same_job(document: dict[str, Any]) -> None:
    job = Job.parse(document)
    again = Job.parse(job.to_json())
    assert again == job
    assert again.to_wire() == job.to_wire()


@given(documents)
def test_the_canonical_form_of_an_input_asks_for_the_same(document: dict[str, Any]) -> None:
    job = Job.parse(document)
    assert job.prediction_input is not None
    assert Job.parse({**document, "predictionInput": job.prediction_input.to_wire()}) == job


def test_the_room_is_imported_without_heavy_company() -> None:
    heavy = "tensorflow", "apache_beam", "numpy", "pyarrow", "fsspec"
    script = f"import sys, batchpredict.job; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
