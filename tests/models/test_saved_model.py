"""Real SavedModels, loaded and called."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batchpredict.errors import FAILED_TO_RUN_MODEL, INVALID_OUTPUTS, ModelUnusable, RecordRefused
from batchpredict.models.columns import Ragged
from batchpredict.models.encode import base64_object, to_values
from batchpredict.models.saved_model import SavedModel, brief
from batchpredict.models.signature import TensorSpec
from batchpredict.models.values import to_column
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule


@pytest.fixture(scope="module")
def load(testdata: str) -> Callable[..., SavedModel]:
    """A model of the test data by name, loaded once."""
    loaded: dict[tuple[str, str | None], SavedModel] = {}

    def load(name: str, signature: str | None = None) -> SavedModel:
        if (name, signature) not in loaded:
            folder = name if name == "digits/model" else f"models/{name}"
            loaded[name, signature] = SavedModel(os.path.join(testdata, folder), signature)
        return loaded[name, signature]

    return load


def example(**features: Any) -> bytes:
    """A serialized tf.Example; each feature a list of floats, of integers or of bytes."""
    made = {}
    for name, values in features.items():
        if values and isinstance(values[0], bytes):
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif values and isinstance(values[0], int):
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return bytes(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())


def vectors(count: int, *shape: int) -> Any:
    return np.random.default_rng(7).standard_normal((count, *shape)).astype(np.float32)


def examples(name: str, count: int, *shape: int) -> list[bytes]:
    return [example(**{name: row.ravel().tolist()}) for row in vectors(count, *shape)]


COUNT = 12
CALLS: list[tuple[str, str | None, Callable[[], dict[str, Any]]]] = [
    ("double", None, lambda: {"x": vectors(COUNT)}),
    ("two_inputs", None, lambda: {"a": vectors(COUNT, 2), "b": np.arange(COUNT)}),
    ("echo_string", None, lambda: {"line": [bytes([n, 255]) * n for n in range(COUNT)]}),
    ("examples16", None, lambda: {"examples": examples("x", COUNT, 16)}),
    ("examples16", "dense", lambda: {"x": vectors(COUNT, 16)}),
    ("digits/model", None, lambda: {"pixels": vectors(COUNT, 64)}),
    ("digits/model", "serving_examples", lambda: {"examples": examples("pixels", COUNT, 64)}),
    ("keras_functional", None, lambda: {"x": vectors(COUNT, 4)}),
    ("tf1_estimator_style", None, lambda: {"inputs": examples("x", COUNT)}),
    ("tf1_estimator_style", "predict", lambda: {"inputs": examples("x", COUNT)}),
]


@pytest.mark.parametrize(("name", "signature", "columns"), CALLS, ids=[f"{name}-{key}" for name, key, _ in CALLS])
def test_a_call_gives_bit_for_bit_what_the_signature_itself_gives(
    load: Any, testdata: str, name: str, signature: str | None, columns: Callable[[], dict[str, Any]]
) -> None:
    batch = 4
    model = load(name, signature)
    feeds = columns()
    direct = tf.saved_model.load(os.path.join(testdata, name if "/" in name else f"models/{name}"))
    function = direct.signatures[model.signature.name]
    expected = [spec.alias for spec in model.signature.outputs]
    for start in range(0, COUNT, batch):
        cut = {alias: column[start : start + batch] for alias, column in feeds.items()}
        called = model.call(cut, batch)
        itself = function(**{alias: tf.constant(column) for alias, column in cut.items()})
        assert sorted(called) == sorted(itself) == expected
        for alias in expected:
            wanted, array = itself[alias].numpy(), called[alias]
            assert array.dtype == wanted.dtype
            assert array.shape == wanted.shape
            assert array.tolist() == wanted.tolist() if array.dtype == object else same(array, wanted)


@pytest.mark.parametrize(("name", "signature", "columns"), CALLS, ids=[f"{name}-{key}" for name, key, _ in CALLS])
def test_batches_at_one_go_give_bit_for_bit_what_calls_give(
    load: Any, name: str, signature: str | None, columns: Callable[[], dict[str, Any]]
) -> None:
    model, feeds = load(name, signature), columns()
    together = model.call_batches(feeds, COUNT, 4)
    for spec in model.signature.outputs:
        calls = [
            model.call({alias: column[start : start + 4] for alias, column in feeds.items()}, 4)[spec.alias]
            for start in range(0, COUNT, 4)
        ]
        joined = np.concatenate([piece[spec.alias] for piece in together])
        assert joined.dtype == calls[0].dtype
        assert joined.tolist() == np.concatenate(calls).tolist()


def test_batches_at_one_go_whose_outputs_have_too_many_rows_are_refused(load: Any) -> None:
    code, _ = refusal(lambda: load("bad_outer").call_batches({"x": np.ones(4, np.float32)}, 4, 2))
    assert code == INVALID_OUTPUTS


def test_one_thread_gives_what_several_give(testdata: str) -> None:
    path, columns = os.path.join(testdata, "digits", "model"), {"pixels": vectors(COUNT, 64)}
    alone, together = (SavedModel(path, threads=threads).call(columns, COUNT) for threads in (1, 4))
    assert all(same(alone[alias], together[alias]) for alias in ("digit", "probabilities"))


def same(left: Any, right: Any) -> bool:
    return bool(left.tobytes() == right.tobytes())


class TestDescription:
    def test_inputs_and_outputs(self, load: Any) -> None:
        signature = load("digits/model", "serving_examples").signature
        assert signature.name == "serving_examples"
        assert signature.inputs == (TensorSpec("examples", "string", (None,)),)
        assert signature.outputs == (
            TensorSpec("digit", "int64", (None,)),
            TensorSpec("probabilities", "float32", (None, 10)),
        )

    def test_the_default_signature_is_used_where_there_are_several(self, load: Any) -> None:
        assert load("digits/model").signature.name == "serving_default"


class TestNotUsable:
    @pytest.mark.parametrize(
        ("name", "signature", "message"),
        [
            ("missing", None, "The model at {} cannot be loaded: there is no saved_model.pb in that folder."),
            (
                "not_a_model",
                None,
                "The model at {0} cannot be loaded: Cannot parse file b'{0}/saved_model.pb': "
                "Error parsing message with type 'tensorflow.SavedModel'.",
            ),
            (
                "no_signatures",
                None,
                "No signature found for signature key serving_default. The model has: none at all.",
            ),
            (
                "examples16",
                "score",
                "No signature found for signature key score. The model has: dense, serving_default.",
            ),
        ],
    )
    def test_the_reason_is_told(self, testdata: str, name: str, signature: str | None, message: str) -> None:
        path = os.path.join(testdata, "models", name)
        with pytest.raises(ModelUnusable) as caught:
            SavedModel(path, signature)
        assert str(caught.value) == message.format(path)

    def test_a_damaged_checkpoint(self, testdata: str, tmp_path: Any) -> None:
        os.makedirs(tmp_path / "variables")
        with open(os.path.join(testdata, "digits", "model", "saved_model.pb"), "rb") as file:
            (tmp_path / "saved_model.pb").write_bytes(file.read())
        with pytest.raises(ModelUnusable, match="cannot be loaded"):
            SavedModel(str(tmp_path))


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(RecordRefused) as caught:
        call()
    return caught.value.code, caught.value.message


class TestRefusals:
    def test_the_model_s_own_words_are_kept_and_its_nodes_are_not(self, load: Any) -> None:
        model = load("refuses_all")
        message = "Exception during running the graph: assertion failed: [no row is accepted] [1]"
        assert refusal(lambda: model.call({"x": np.ones(1, np.float32)}, 1)) == (FAILED_TO_RUN_MODEL, message)

    def test_of_one_row_among_several(self, load: Any) -> None:
        model = load("refuses_negative")
        code, message = refusal(lambda: model.call({"x": np.array([1, -1], np.float32)}, 2))
        assert (code, message) == (
            FAILED_TO_RUN_MODEL,
            "Exception during running the graph: assertion failed: [negative x. ] "
            "[Condition x >= 0 did not hold element-wise:] [x (x:0) = ] [1 -1]",
        )
        assert model.call({"x": np.array([4], np.float32)}, 1)["y"].tolist() == [2]

    def test_of_a_model_that_tells_where_it_was_made(self, load: Any) -> None:
        message = (
            "Exception during running the graph: "
            "Name: <unknown>, Feature: x (data type: float) is required but could not be found."
        )
        model = load("tf1_estimator_style")
        assert refusal(lambda: model.call({"inputs": [b""]}, 1)) == (FAILED_TO_RUN_MODEL, message)

    def test_the_same_fault_has_the_same_message_every_time(self, load: Any) -> None:
        model = load("digits/model", "serving_examples")
        one, other = b"", example(x=[1.0])
        first = refusal(lambda: model.call({"examples": [one]}, 1))
        assert refusal(lambda: model.call({"examples": [other]}, 1)) == first

    def test_too_many_rows_come_out(self, load: Any) -> None:
        assert refusal(lambda: load("bad_outer").call({"x": np.ones(3, np.float32)}, 3)) == (
            INVALID_OUTPUTS,
            "Bad output from running tensorflow session: outputs had differing sizes in the batch (outer) "
            "dimension. See the outputs and their size: {'y': 4}, for a batch of 3. "
            "Check your model for bugs that effect the size of the outputs.",
        )


class TestFixedBatch:
    ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)

    @pytest.mark.parametrize("count", [1, 7, 8, 9, 10])
    def test_any_number_of_rows_is_scored(self, load: Any, count: int) -> None:
        outputs = load("fixed_batch").call({"x": self.ROWS[:count]}, count)
        assert outputs["y"].tolist() == self.ROWS[:count].sum(axis=1).tolist()


class Labelled(tf.Module):  # type: ignore[misc]
    """Built for three records, with three labels."""

    @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, name="x")])
    def score(self, x: Any) -> Any:
        return {"y": 2 * x, "labels": tf.constant([b"a", b"b", b"c"])}


def test_as_many_constants_as_a_fixed_batch_has_records_are_given_to_each(tmp_path: Any) -> None:
    module = Labelled()
    tf.saved_model.save(module, str(tmp_path), signatures=module.score)
    outputs = SavedModel(str(tmp_path)).call({"x": np.ones(4, np.float32)}, 4)
    assert outputs["labels"].tolist() == [[b"a", b"b", b"c"]] * 4
    assert outputs["y"].tolist() == [2.0] * 4


def test_ragged_rows_of_one_shape_are_one_call(load: Any) -> None:
    outputs = load("varlen").call({"x": Ragged([np.ones(3, np.float32), np.zeros(3, np.float32)])}, 2)
    assert outputs["total"].tolist() == [3, 0]
    assert outputs["padded"].shape == (2, 3)


class Odd(tf.Module):  # type: ignore[misc]
    """What few models do."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def total(self, x: Any) -> Any:
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bfloat16, name="x")])
    def short(self, x: Any) -> Any:
        return {"y": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def imaginary(self, x: Any) -> Any:
        return {"z": tf.complex(x, x)}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("models") / "odd")
    module = Odd()
    names = {"total": module.total, "short": module.short, "imaginary": module.imaginary}
    tf.saved_model.save(module, path, signatures=names)
    return path


class TestOddModels:
    def test_bfloat16_goes_in_and_comes_out(self, odd: str) -> None:
        model = SavedModel(odd, "short")
        column, refusals = to_column([1.5, 2, 1e39, float("nan")], model.signature.inputs[0])
        assert refusals[2].message == "Input mismatch: input x takes one bfloat16, got a number out of its range."
        assert list(refusals) == [2]
        outputs = model.call({"x": column}, 4)
        values, _ = to_values("y", outputs["y"], strict_json=True, b64=base64_object)
        assert (values[0], values[1], values[3]) == (3.0, 4.0, "NaN")

    def test_what_no_file_can_hold_is_told_at_once(self, odd: str) -> None:
        with pytest.raises(ModelUnusable) as caught:
            SavedModel(odd, "imaginary")
        assert str(caught.value) == "Output z of signature imaginary is of type complex64."


class TestExampleFields:
    """Fields of tf.Examples that go past the model."""

    @pytest.fixture
    def decode(self, make: Any) -> Any:
        def decode(rule: FieldRule, *records: bytes) -> Any:
            signature = make.signature(examples=("string", ()))
            return Decoder(signature, rule, text=False)(0, make.run(*records))

        return decode

    def test_the_key_comes_back_and_the_record_is_untouched(self, decode: Any) -> None:
        record = example(x=[1.0], id=[7])
        instances, refusals = decode(FieldRule(key="id"), record)
        assert not refusals
        assert instances.columns == {"examples": [record]}
        assert instances.carried == [{"id": b"7"}]

    def test_the_key_must_be_there(self, decode: Any, make: Any) -> None:
        good = example(id=[b"k"])
        instances, refusals = decode(FieldRule(key="id"), example(x=[1.0]), good)
        assert make.messages(refusals) == {0: "The key field id is missing from the instance."}
        assert instances.columns == {"examples": [good]}

    def test_excluded_features_are_taken_out(self, decode: Any) -> None:
        record = example(x=[1.0, 2.0], note=[b"a", b"b"], raw=[b"\xff"])
        instances, _ = decode(FieldRule(excluded=frozenset({"note", "raw"})), record)
        assert tf.train.Example.FromString(instances.columns["examples"][0]) == tf.train.Example.FromString(
            example(x=[1.0, 2.0])
        )
        assert instances.carried == [{"note": b'["a","b"]', "raw": b'{"b64":"/w=="}'}]

    def test_features_that_are_not_included_are_taken_out(self, decode: Any) -> None:
        rule = FieldRule(key="id", included=frozenset({"x"}))
        instances, _ = decode(rule, example(x=[1.0], id=[7], y=[0.5], empty=[]))
        left = tf.train.Example.FromString(instances.columns["examples"][0])
        assert sorted(left.features.feature) == ["id", "x"]
        assert instances.carried == [{"id": b"7", "empty": b"[]", "y": b"0.5"}]

    def test_what_is_no_example_is_refused(self, decode: Any, make: Any) -> None:
        _, refusals = decode(FieldRule(key="id"), b"\xff\xff no example")
        assert make.messages(refusals) == {0: "The record is not a serialized tf.Example."}


class TestBrief:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "Graph execution error:\n\nDetected at node a/b defined at (most recent call last):\n"
                "<stack traces unavailable>\nno such row\n\t [[{{node a/b}}]] [Op:__inference_f_12]",
                "no such row",
            ),
            (
                "Graph execution error:\n\nDetected at node a/b defined at (most recent call last):\n"
                '  File "train.py", line 7, in <module>\n\n  File "net.py", line 9, in build\n\n'
                "no such row\n\t [[{{node a/b}}]] [Op:__inference_f_12]",
                "no such row",
            ),
            (
                "2 root error(s) found.\n  (0) INVALID_ARGUMENT: no such row\n\t [[{{node a}}]]\n\t [[b/_4]]\n"
                "  (1) INVALID_ARGUMENT: no such row\n\t [[{{node a}}]]",
                "2 root error(s) found. (0) INVALID_ARGUMENT: no such row",
            ),
            ("no such row\n\nCaused by op 'x', defined at:", "no such row"),
            ("no such row\n\nOriginal stack trace for 'a':\n  File", "no such row"),
            ("no such row [[{{node a}}]] [Op:__inference_f_12]", "no such row"),
            ("cannot compute __inference_wrapper_f_830 as asked", "cannot compute wrapper_f as asked"),
            ("several\n  lines", "several lines"),
            ("", "ValueError"),
        ],
    )
    def test_what_differs_from_call_to_call_is_left_out(self, text: str, expected: str) -> None:
        assert brief(ValueError(text)) == expected
