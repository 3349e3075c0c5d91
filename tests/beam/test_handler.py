"""`SavedModelHandler` in `RunInference`: results, settings, metrics, and what is said when it cannot work."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import support
from apache_beam.metrics import MetricsFilter
from apache_beam.ml.inference.base import PredictionResult, RunInference
from inference import Collection, held, in_process, infer, infer_apart, plain

from batchpredict import storage
from batchpredict.beam import SavedModelHandler
from batchpredict.beam.handler import NAMESPACE
from batchpredict.errors import ModelUnusable

DOUBLE = support.model("double")


def test_a_result_holds_the_element_as_it_came_numpy_values_by_output_and_the_model():
    element = {"x": 1.5}
    (result,) = infer(SavedModelHandler(DOUBLE), [element])
    assert type(result) is PredictionResult
    assert (result.example, result.model_id) == (element, DOUBLE)
    assert result.inference == {"y": np.float32(3.0)}
    assert type(result.inference["y"]) is np.float32


def test_a_row_of_an_output_is_an_array_and_a_string_is_bytes():
    (result,) = infer(SavedModelHandler(support.model("examples16"), "dense"), [np.ones(16)])
    assert (result.inference["scores"].shape, result.inference["scores"].dtype) == ((4,), np.float32)
    (result,) = infer(SavedModelHandler(support.model("echo_string")), ["abc"])
    assert (result.inference["line"], result.inference["line_bytes"]) == (b"abc", b"abc")


def test_results_are_those_of_the_signature_as_tensorflow_calls_it():
    rows = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    found = infer(SavedModelHandler(support.DIGITS_MODEL), list(rows))
    expected = support.signature(support.DIGITS_MODEL)(pixels=rows)
    assert np.allclose([one.inference["probabilities"] for one in found], expected["probabilities"], atol=1e-5)
    assert [one.inference["digit"] for one in found] == expected["digit"].tolist()


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("keras_functional", np.zeros(4)),
        ("keras2_optimizer", np.zeros(2)),
        ("reference_outputs", 1.0),
        ("table_of_assets", 1),
    ],
)
def test_models_of_every_age_are_loaded(name, element):
    (result,) = infer(SavedModelHandler(support.model(name)), [element])
    assert result.inference


def test_values_may_be_those_of_a_results_file():
    handler = SavedModelHandler(support.model("echo_string"), as_json=True)
    (result,) = infer(handler, ["h\N{LATIN SMALL LETTER E WITH ACUTE}"])
    assert result.inference == {
        "length": 3,
        "line": "h\N{LATIN SMALL LETTER E WITH ACUTE}",
        "line_bytes": {"b64": "aMOp"},
    }
    (result,) = infer(SavedModelHandler(support.model("nonfinite"), as_json=True), [0.0])
    assert result.inference == {"y": "Infinity", "log": "-Infinity"}


def test_a_value_that_json_cannot_hold_costs_its_record():
    handler = SavedModelHandler(support.model("bad_text"), as_json=True, min_batch_size=3, max_batch_size=3)
    found, failed = infer_apart(handler, [1.0, -1.0, 2.0])
    assert plain(found) == [{"text": "fine"}, {"text": "fine"}]
    assert [batch for batch, _ in failed] == [[-1.0]]
    assert "output text is not valid UTF-8" in failed[0][1][1]


def test_batches_that_are_made_before_are_taken_as_they_are():
    handler = SavedModelHandler(DOUBLE).with_no_batching()
    assert plain(infer(handler, [[1.0, 2.0], np.array([3.0]), (4.0,)])) == [
        {"y": 2.0},
        {"y": 4.0},
        {"y": 6.0},
        {"y": 8.0},
    ]


def test_a_handler_is_pickled_as_its_settings_and_nothing_else():
    handler = SavedModelHandler(DOUBLE, "serving_default", max_batch_size=64, env_vars={"A": "b"})
    handler.run_inference([1.0], handler.load_model())
    pickled = pickle.dumps(handler)
    assert len(pickled) < 600
    assert repr(pickle.loads(pickled)) == f"SavedModelHandler({DOUBLE!r}, signature_name='serving_default')"


def test_neither_the_room_nor_a_pipeline_that_is_built_imports_tensorflow():
    code = f"""
import sys
import batchpredict
assert "apache_beam" not in sys.modules
import batchpredict.beam
import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
_ = beam.Pipeline() | beam.Create([1.0]) | RunInference(batchpredict.beam.SavedModelHandler({DOUBLE!r}))
assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]
"""
    environment = {**os.environ, "PYTHONPATH": support.ROOT}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_what_beam_makes_of_the_settings():
    def weigh(element: Any) -> int:
        return len(element)

    handler = SavedModelHandler(
        DOUBLE,
        min_batch_size=8,
        max_batch_size=64,
        max_batch_duration_secs=1,
        element_size_fn=weigh,
        batch_length_fn=weigh,
        batch_bucket_boundaries=[4],
        model_copies=2,
        resource_hints={"min_ram": "4GB"},
    )
    assert handler.batch_elements_kwargs() == {
        "min_batch_size": 8,
        "max_batch_size": 64,
        "max_batch_duration_secs": 1,
        "element_size_fn": weigh,
        "length_fn": weigh,
        "bucket_boundaries": [4],
    }
    assert handler.share_model_across_processes()
    assert handler.model_copies() == 2
    assert handler.get_resource_hints() == {"min_ram": "4GB"}
    assert not handler.override_metrics()
    assert not SavedModelHandler(DOUBLE).share_model_across_processes()
    assert SavedModelHandler(DOUBLE, large_model=True).share_model_across_processes()


def test_a_setting_that_is_misspelt_is_refused():
    with pytest.raises(TypeError, match="max_batchsize"):
        SavedModelHandler(DOUBLE, max_batchsize=64)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("settings", "said"), [({"threads": -1}, "threads: -1"), ({"max_batch_size": 0}, "max_batch_size: 0")]
)
def test_a_setting_that_cannot_be_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        SavedModelHandler(DOUBLE, **settings)


def test_environment_variables_are_set_before_the_model_is_loaded(monkeypatch):
    monkeypatch.delenv("BATCHPREDICT_TEST", raising=False)
    infer(SavedModelHandler(DOUBLE, env_vars={"BATCHPREDICT_TEST": "here"}), [1.0])
    assert os.environ.pop("BATCHPREDICT_TEST") == "here"


def test_arguments_of_a_call_are_refused_when_the_pipeline_is_built():
    with pytest.raises(
        ValueError, match="inference_args: a signature takes its inputs and nothing else, so not training"
    ):
        infer(SavedModelHandler(DOUBLE), [1.0], inference_args={"training": False})


@pytest.mark.parametrize(
    "sharing", [{"large_model": True}, {"model_copies": 2}], ids=["one in all processes", "two copies"]
)
def test_a_model_may_be_shared_across_processes(sharing):
    handler = SavedModelHandler(support.model("refuses_negative"), min_batch_size=2, max_batch_size=2, **sharing)
    found, failed = infer_apart(handler, [4.0, 9.0, 16.0, -1.0, None])
    assert plain(found) == [{"y": 2.0}, {"y": 3.0}, {"y": 4.0}]
    assert [batch for batch, _ in failed] == [[-1.0], [None]]


def test_the_step_carries_the_resource_hints():
    pipeline = in_process()
    _ = pipeline | beam.Create([1.0]) | RunInference(SavedModelHandler(DOUBLE, resource_hints={"min_ram": "4GB"}))
    environments = pipeline.to_runner_api().components.environments.values()
    assert any("beam:resources:min_ram_bytes:v1" in one.resource_hints for one in environments)


def counters(result: Any, namespace: str) -> dict[str, int]:
    found = result.metrics().query(MetricsFilter().with_namespace(namespace))
    return {one.key.metric.name: one.result for one in found["counters"]}


def test_metrics_are_beams_and_the_number_of_refused_records():
    handler = SavedModelHandler(support.model("refuses_negative"), min_batch_size=5, max_batch_size=5)
    failed = Collection()
    pipeline = in_process()
    _, others = (
        pipeline
        | beam.Create([4.0, -1.0, 9.0, 16.0, None], reshuffle=False)
        | RunInference(handler).with_exception_handling()
    )
    failed.of(others.failed_inferences)
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result, NAMESPACE) == {"num_inferences": 5, "num_refused": 2}
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    distributions = {one.key.metric.name: one.result for one in found["distributions"]}
    assert distributions["inference_request_batch_size"].max == 5
    assert distributions["inference_request_batch_byte_size"].max == 5 * 8
    assert distributions["inference_batch_latency_micro_secs"].count == 1
    assert distributions["load_model_latency_milli_secs"].count == 1


def test_the_metrics_of_a_step_may_have_a_namespace_of_their_own():
    pipeline = in_process()
    _ = (
        pipeline
        | beam.Create([4.0], reshuffle=False)
        | RunInference(SavedModelHandler(DOUBLE), metrics_namespace="mine")
    )
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result, "mine") == {"num_inferences": 1}


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (["abc", b"de"], 5),
        ([{"a": [1.0, 2.0], "b": 3}], 24),
        ([np.ones(4, np.float32), [[1, 2], [3, 4]]], 48),
        ([("key", np.ones(1))], 11),
        ([None, []], 8),
    ],
    ids=str,
)
def test_the_bytes_of_a_batch_are_about_those_of_its_values(batch, size):
    assert SavedModelHandler(DOUBLE).get_num_bytes(batch) == size


@pytest.mark.parametrize(
    ("uri", "signature", "reason"),
    [
        ("nowhere", None, "The model at nowhere cannot be loaded: there is no saved_model.pb in that folder."),
        (support.model("not_a_model"), None, "cannot be loaded"),
        (support.model("no_signatures"), None, "No signature found"),
        (DOUBLE, "other", "No signature found for signature key other. The model has: serving_default."),
        ("nobody://knows", None, "uri: the model at 'nobody://knows' cannot be read"),
    ],
)
def test_a_model_that_cannot_be_used_is_said_to_be_so(uri, signature, reason):
    with pytest.raises(ModelUnusable, match=reason):
        SavedModelHandler(uri, signature).load_model()


def test_the_failure_of_a_pipeline_says_what_is_wrong_with_the_model():
    with pytest.raises(
        Exception, match=r"No signature found for signature key other. The model has: serving_default"
    ):
        infer(SavedModelHandler(DOUBLE, "other"), [1.0])


def test_a_model_at_a_url_is_fetched(memory, monkeypatch, tmp_path):
    monkeypatch.setenv("BATCHPREDICT_CACHE", str(tmp_path))
    for folder, _, names in os.walk(DOUBLE):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                path = os.path.relpath(file.name, DOUBLE)
                storage.replace_bytes(f"{memory}/double/1/{path}", file.read())
    (result,) = infer(SavedModelHandler(f"{memory}/double/1"), [1.0])
    assert (plain(result), result.model_id) == ({"y": 2.0}, f"{memory}/double/1")


def test_threads_score_with_one_model_at_the_same_time():
    from concurrent.futures import ThreadPoolExecutor

    handler, model = SavedModelHandler(support.model("refuses_negative")), held("refuses_negative")

    def score(first: int) -> Any:
        return plain(list(handler.run_inference([(first + row) ** 2 for row in range(20)], model)))

    with ThreadPoolExecutor(4) as pool:
        for first, found in enumerate(pool.map(score, range(200))):
            assert found == [{"y": float(first + row)} for row in range(20)]
