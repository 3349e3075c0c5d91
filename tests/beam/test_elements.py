"""What an element may be, and what is said of one that does not fit."""

from __future__ import annotations

import base64
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from inference import scored

EXAMPLES = "tf1_estimator_style"


def example(**features: float) -> Any:
    from tensorflow.core.example import example_pb2, feature_pb2

    values = {
        name: feature_pb2.Feature(float_list=feature_pb2.FloatList(value=[value]))
        for name, value in features.items()
    }
    return example_pb2.Example(features=feature_pb2.Features(feature=values))


class Unreadable:
    """Says that it is an array, and is none."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise OSError("gone")


@pytest.mark.parametrize(
    "element",
    [
        {"x": 1.5},
        {"x": np.float32(1.5)},
        {"x": np.array(1.5)},
        1.5,
        np.float64(1.5),
        np.array(1.5, np.float32),
        np.array(1.5, ml_dtypes.bfloat16),
        '{"x": 1.5}',
        b'{"x": 1.5}',
        "1.5",
        bytearray(b"1.5"),
        np.str_("1.5"),
    ],
    ids=repr,
)
def test_a_number_may_come_as_a_field_a_value_or_json(element):
    assert scored("double", [element]) == [{"y": 3.0}]


@pytest.mark.parametrize(
    "element",
    [
        np.ones(16, np.float32),
        np.ones(16, np.int64),
        np.ones(16, np.float16),
        [1] * 16,
        (1.0,) * 16,
        {"x": [1.0] * 16},
        {"x": np.ones(16)},
        b'{"x": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}',
    ],
    ids=lambda element: f"{type(element).__name__}{getattr(element, 'dtype', '')}",
)
def test_a_row_of_numbers_may_be_an_array_a_list_a_field_or_json(element):
    (expected,) = scored("examples16", [{"x": [1.0] * 16}], "dense")
    assert scored("examples16", [element], "dense") == [expected]


def test_a_tensor_is_a_row_as_beams_own_handler_takes_it():
    import tensorflow as tf

    assert scored("examples16", [tf.ones(16)], "dense") == scored("examples16", [np.ones(16)], "dense")
    assert scored("echo_string", [tf.constant("abc")])[0]["length"] == 3


def test_elements_of_every_kind_share_a_batch():
    assert scored("double", [1, {"x": 2}, np.float32(3), "4", b'{"x": 5}']) == [
        {"y": 2.0},
        {"y": 4.0},
        {"y": 6.0},
        {"y": 8.0},
        {"y": 10.0},
    ]


def test_several_inputs_are_the_fields_of_a_dict_or_of_json():
    expected = [{"sum": 6.0}] * 3
    elements = [{"a": [1, 2], "b": 3}, {"b": np.int64(3), "a": np.array([1, 2])}, b'{"a": [1, 2], "b": 3}']
    assert scored("two_inputs", elements) == expected


@pytest.mark.parametrize(
    "element",
    [
        "ab\N{LATIN SMALL LETTER E WITH ACUTE}",
        "ab\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
        np.str_("ab\N{LATIN SMALL LETTER E WITH ACUTE}"),
        {"line": "ab\N{LATIN SMALL LETTER E WITH ACUTE}"},
        {"line": {"b64": base64.b64encode("ab\N{LATIN SMALL LETTER E WITH ACUTE}".encode()).decode()}},
        {"b64": base64.b64encode("ab\N{LATIN SMALL LETTER E WITH ACUTE}".encode()).decode()},
    ],
    ids=repr,
)
def test_a_signature_of_one_string_gets_text_and_bytes_as_they_are(element):
    raw = "ab\N{LATIN SMALL LETTER E WITH ACUTE}".encode()
    assert scored("echo_string", [element]) == [{"length": 4, "line": raw, "line_bytes": raw}]


def test_text_that_looks_like_json_is_not_read_where_one_string_is_wanted():
    assert scored("echo_string", ['{"line": "x"}'])[0]["line"] == b'{"line": "x"}'


def test_bytes_need_not_be_text():
    assert scored("echo_string", [b"\xff\x00"])[0]["line"] == b"\xff\x00"


def test_strings_among_several_inputs_may_be_text_bytes_or_base64():
    expected = [{"size": 2, "tag": b"t"}] * 3
    elements = [
        {"image_bytes": b"\xff\xd8", "tag": "t"},
        {"image_bytes": {"b64": "/9g="}, "tag": b"t"},
        '{"image_bytes": {"b64": "/9g="}, "tag": "t"}',
    ]
    assert scored("image", elements) == expected


def test_a_tf_example_may_come_as_itself_or_serialized():
    one = example(x=0.5)
    first, second, third = scored(EXAMPLES, [one, one.SerializeToString(), {"inputs": one}], "predict")
    assert first == second == third
    assert first["scores"] == pytest.approx([0.1192, 0.8808], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "element", "reason"),
    [
        ("double", {"z": 1}, "Expected tensor name: x, got tensor name: z."),
        ("double", {}, "Expected tensor name: x, got tensor name: none."),
        ("double", {1: 2}, "Expected tensor name: x, got tensor name: 1."),
        ("double", Unreadable(), "The element cannot be read: OSError: gone"),
        ("double", {"x": Unreadable()}, "The element cannot be read: OSError: gone"),
        ("double", {"x": "one"}, "Input mismatch: input x takes one float32, got a string."),
        ("double", {"x": None}, "Input mismatch: input x takes one float32, got null."),
        ("double", None, "Input mismatch: input x takes one float32, got null."),
        ("double", np.ones(3), "Input mismatch: input x takes one float32, got a value of shape [3]."),
        ("double", np.array(["a"]),
         "Input mismatch: input x takes one float32, got a list that holds something else."),
        ("double", object(), "Input mismatch: input x takes one float32, got a object."),
        ("double", "one", "Invalid JSON: Expecting value: line 1 column 1 (char 0)"),
        ("double", ("key", 1.5),
         "Input mismatch: input x takes one float32, got a list that holds something else."),
        ("two_inputs", {"a": [1, 2]}, "Input b was missing in at least one input instance."),
        ("two_inputs", {"a": [1, 2], "b": 1, "c": 1}, "Unexpected tensor name: c"),
        ("two_inputs", {"a": [1, 2, 3], "b": 1},
         "Input mismatch: input a takes float32 of shape [2], got a value of shape [3]."),
        ("two_inputs", {"a": [1, 2], "b": 1.5},
         "Input mismatch: input b takes one int64, got a number that is not whole."),
        ("two_inputs", np.ones(2), "Input mismatch: the instance must be an object with the fields a, b."),
        ("two_inputs", [1, 2], "Input mismatch: the instance must be an object with the fields a, b."),
        ("echo_string", 5, "Input mismatch: input line takes one string, got a number."),
        ("echo_string", {"text": "x"}, "Expected tensor name: line, got tensor name: text."),
        ("echo_string", {"line": {"b64": "a"}}, "A b64 value is not valid base64."),
        ("echo_string", "\ud800", "A text holds half of a surrogate pair."),
    ],
)  # fmt: skip
def test_an_element_that_does_not_fit_is_told_what_would(name, element, reason):
    (said,) = scored(name, [element])
    assert said == f"INVALID_INPUTS: {reason}"


def test_a_tf_example_is_refused_by_a_signature_of_other_inputs():
    assert scored("examples16", [example(x=1)], "dense") == [
        "INVALID_INPUTS: Input mismatch: a tf.Example is for a signature that takes one string; "
        "dense takes x (float32 [?, 16])."
    ]


def test_an_element_nested_without_end_is_refused():
    deep: list[Any] = []
    deep.append(deep)
    assert scored("double", [deep, 1]) == ["INVALID_INPUTS: The element is nested too deeply.", {"y": 2.0}]


def test_one_element_that_does_not_fit_costs_itself():
    said = scored("double", [1, "x", {"z": 0}, 2])
    assert (said[0], said[3]) == ({"y": 2.0}, {"y": 4.0})
    assert all("INVALID_INPUTS" in one for one in said[1:3])


def test_one_element_that_the_model_refuses_costs_itself():
    said = scored("refuses_negative", [4, -1, 9])
    assert (said[0], said[2]) == ({"y": 2.0}, {"y": 3.0})
    assert said[1].startswith("FAILED_TO_RUN_MODEL: ")
    assert "negative x" in said[1]


def test_rows_of_several_lengths_share_a_batch():
    assert scored("varlen", [[1], [1, 2], [3]]) == [
        {"total": 1.0, "padded": [1.0]},
        {"total": 3.0, "padded": [1.0, 2.0]},
        {"total": 3.0, "padded": [3.0]},
    ]


def test_a_batch_may_be_larger_or_smaller_than_the_graph_was_built_for():
    rows = [np.full(4, row) for row in range(11)]
    assert scored("fixed_batch", rows) == [{"y": 4.0 * row} for row in range(11)]


def test_a_string_keeps_its_shape_whatever_else_is_in_the_batch():
    from batchpredict.beam.elements import ElementDecoder
    from batchpredict.models.signature import Signature, TensorSpec

    column = TensorSpec("text", "string", (None, 1))
    decode = ElementDecoder(Signature("serving_default", (column,), ()))
    assert decode(["a", {"text": b"b"}, "c"]) == ({"text": [b"a", b"b", b"c"]}, {})
    columns, refusals = decode(["a", {"text": b"b"}, ["c"], 5])
    assert np.array(columns["text"])[:3].tolist() == [[b"a"], [b"b"], [b"c"]]
    assert list(refusals) == [3]


def test_inputs_without_a_batch_dimension_are_called_as_they_need_it():
    assert scored("without_batch", [{"a": 2, "b": 3}, {"a": 4, "b": 5}], "records") == [
        {"product": 6.0, "pair": [2.0, 3.0]},
        {"product": 20.0, "pair": [4.0, 5.0]},
    ]
    elements = [{"x": 1, "threshold": 0}, {"x": 1, "threshold": 2}, {"x": 3, "threshold": 2}]
    assert scored("without_batch", elements, "threshold") == [{"y": 1.0}, {"y": 0.0}, {"y": 1.0}]
    assert scored("without_batch", [1], "labels") == [{"y": 2.0, "labels": [b"a", b"b", b"c"], "version": 7}]


def test_sparse_inputs_are_lists():
    element = {"values": [1.0, 2.0], "words": ["a", "b"], "x": 3.0}
    expected = {"total": 3.0, "count": 2, "first": b"a", "scaled": 1.5}
    assert scored("transform_sparse", [element], "transform_signature") == [expected]


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "qint8", "uint64"])
def test_types_that_few_models_have_are_scored(kind):
    row = np.array(3, "int8" if kind == "qint8" else kind)
    first, second = scored("odd_types", [row, 3], kind)
    assert first == second
