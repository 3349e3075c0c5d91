"""A record that is refused: with exception handling and without it, alone and with a key."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.ml.inference.base import KeyedModelHandler, KeyModelMapping, MaybeKeyedModelHandler, RunInference
from inference import Collection, in_process, infer, infer_apart, plain

from batchpredict.beam import SavedModelHandler
from batchpredict.errors import INVALID_INPUTS, RecordRefused

SQRT = support.model("refuses_negative")
DOUBLE = support.model("double")


def sqrt(**options: Any) -> SavedModelHandler:
    return SavedModelHandler(SQRT, min_batch_size=64, max_batch_size=64, **options)


def test_a_dead_letter_is_the_record_and_not_its_batch():
    found, failed = infer_apart(sqrt(), [4.0, -1.0, 9.0, "what", 16.0])
    assert plain(found) == [{"y": 2.0}, {"y": 3.0}, {"y": 4.0}]
    assert [batch for batch, _ in failed] == [[-1.0], ["what"]]


def test_a_dead_letter_says_why_as_beams_do():
    _, failed = infer_apart(sqrt(), [4.0, "what"])
    ((_, (kind, text, lines)),) = failed
    assert kind is RecordRefused
    assert text == "RecordRefused('INVALID_INPUTS: Invalid JSON: Expecting value: line 1 column 1 (char 0)')"
    assert lines == [
        "batchpredict.errors.RecordRefused: INVALID_INPUTS: Invalid JSON: "
        "Expecting value: line 1 column 1 (char 0)\n"
    ]


@pytest.mark.parametrize("handling", [{"timeout": 100}, {"exc_class": ValueError}, {"threshold": 0.5}], ids=str)
def test_however_exceptions_are_handled_a_dead_letter_is_the_record(handling):
    handler = SavedModelHandler(SQRT, min_batch_size=2, max_batch_size=2)
    found, failed = infer_apart(handler, [4.0, "what", 9.0, 16.0], **handling)
    assert plain(found) == [{"y": 2.0}, {"y": 3.0}, {"y": 4.0}]
    assert [batch for batch, _ in failed] == [["what"]]


@pytest.mark.long
def test_a_record_that_kills_the_process_costs_its_batch_where_there_is_a_process_for_it():
    code = f"""
from inference import infer_apart, plain
from batchpredict.beam import SavedModelHandler
handler = SavedModelHandler({support.model("crashes")!r}, min_batch_size=2, max_batch_size=2)
found, failed = infer_apart(handler, [1.0, 2.0, 3.0, 666.0, 4.0, "what"], use_subprocess=True)
print(plain(found), [batch for batch, _ in failed])
"""
    # Beam forks, which a process that has used TensorFlow does not survive.
    tests = os.path.join(support.ROOT, "tests")
    path = os.pathsep.join((support.ROOT, tests, os.path.join(tests, "beam")))
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.stdout == "[{'y': 1.0}, {'y': 2.0}, {'y': 4.0}] [[3.0, 666.0], ['what']]\n", found.stderr


def test_without_exception_handling_the_call_raises_what_the_first_refused_record_lacks():
    with pytest.raises(
        Exception, match="INVALID_INPUTS: Input mismatch: input x takes one float32, got null"
    ) as found:
        infer(sqrt(), [4.0, None, -1.0])
    assert (
        "(record 2 of a batch of 3, 2 of which are refused; "
        "RunInference(...).with_exception_handling() sets such records aside)" in str(found.value)
    )


def test_keys_come_back_on_results_and_on_dead_letters():
    found, failed = infer_apart(sqrt(keyed=True), [("a", 4.0), ("b", -1.0), ("c", 9.0), "unpaired"])
    assert plain(found) == [("a", {"y": 2.0}), ("c", {"y": 3.0})]
    assert [batch for batch, _ in failed] == [[("b", -1.0)], ["unpaired"]]
    assert "keyed=True takes pairs of a key and an element, got a str." in failed[1][1][1]


def test_without_exception_handling_keys_come_back_too():
    assert plain(infer(sqrt(keyed=True), [("a", 4.0), ("b", 9.0)])) == [("a", {"y": 2.0}), ("b", {"y": 3.0})]


@pytest.mark.parametrize("wrapper", [KeyedModelHandler, MaybeKeyedModelHandler])
def test_under_beams_handler_of_keys_the_result_of_a_refused_record_is_its_error(wrapper):
    found, failed = infer_apart(wrapper(sqrt()), [("a", 4.0), ("b", None), ("c", 9.0)])
    assert failed == []
    assert [key for key, _ in found] == ["a", "b", "c"]
    assert plain([found[0], found[2]]) == [("a", {"y": 2.0}), ("c", {"y": 3.0})]
    refused = found[1][1]
    assert refused.example is None
    assert isinstance(refused.inference, RecordRefused)
    assert refused.inference.code == INVALID_INPUTS


def accepted(pair: Any) -> Any:
    if isinstance(pair[1].inference, RecordRefused):
        raise pair[1].inference
    return pair


def test_a_step_after_beams_handler_of_keys_makes_dead_letters_of_errors():
    handler = KeyedModelHandler(sqrt()).with_postprocess_fn(accepted)
    found, failed = Collection(), Collection()
    with in_process() as pipeline:
        results, others = (
            pipeline
            | beam.Create([("a", 4.0), ("b", None)], reshuffle=False)
            | RunInference(handler).with_exception_handling()
        )
        found.of(results)
        failed.of(others.failed_postprocessing[0])
    assert plain(found.elements) == [("a", {"y": 2.0})]
    assert [pair[0] for pair, _ in failed.elements] == ["b"]


def test_without_exception_handling_beams_handler_of_keys_fails_too():
    with pytest.raises(Exception, match="INVALID_INPUTS: Input mismatch"):
        infer(KeyedModelHandler(sqrt()), [("a", None)])


def test_each_key_may_have_a_model_of_its_own():
    handler = KeyedModelHandler(
        [
            KeyModelMapping(["sqrt"], SavedModelHandler(SQRT)),
            KeyModelMapping(["double", "twice"], SavedModelHandler(DOUBLE)),
        ]
    )
    found, failed = infer_apart(handler, [("sqrt", 4.0), ("double", 4.0), ("twice", 1.0), ("sqrt", -1.0)])
    assert failed == []
    refused = [pair for pair in found if isinstance(pair[1].inference, RecordRefused)]
    assert [(key, result.example) for key, result in refused] == [("sqrt", -1.0)]
    others = sorted(plain([pair for pair in found if pair not in refused]))
    assert others == [("double", {"y": 8.0}), ("sqrt", {"y": 2.0}), ("twice", {"y": 2.0})]


class Shouting(SavedModelHandler):
    """A handler of a user's, who looks at every result and knows nothing of dead letters."""

    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Any:
        return [result.inference["y"] for result in super().run_inference(batch, model, inference_args)]


def test_a_handler_that_is_built_on_ours_gets_results_only():
    handler = Shouting(SQRT, min_batch_size=64, max_batch_size=64)
    found, failed = infer_apart(handler, [4.0, 9.0])
    assert (plain(found), failed) == ([2.0, 3.0], [])
    found, failed = infer_apart(handler, [4.0, None])
    assert found == []
    assert [batch for batch, _ in failed] == [[4.0, None]]


def test_functions_before_and_after_a_model_see_accepted_records_only():
    handler = sqrt().with_preprocess_fn(float).with_postprocess_fn(lambda result: float(result.inference["y"]))
    found, failed_before, failed = Collection(), Collection(), Collection()
    with in_process() as pipeline:
        results, others = (
            pipeline
            | beam.Create(["4", "-1", "four", "9"], reshuffle=False)
            | RunInference(handler).with_exception_handling()
        )
        found.of(results)
        failed_before.of(others.failed_preprocessing[0])
        failed.of(others.failed_inferences)
    assert found.elements == [2.0, 3.0]
    assert [element for element, _ in failed_before.elements] == ["four"]
    assert [batch for batch, _ in failed.elements] == [[-1.0]]


def test_a_refusal_goes_from_one_process_to_another():
    refused = pickle.loads(pickle.dumps(RecordRefused(INVALID_INPUTS, "why")))
    assert (refused.code, refused.message, str(refused)) == (INVALID_INPUTS, "why", "INVALID_INPUTS: why")
