"""Models of every kind that TensorFlow Serving loads, and the sentence about those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from batchpredict.errors import INVALID_INPUTS, ModelUnusable, RecordRefused
from batchpredict.models.columns import Column, Ragged
from batchpredict.models.inspect import look
from batchpredict.models.saved_model import SavedModel
from batchpredict.models.signature import TensorSpec
from batchpredict.scoring.batches import Scorer
from batchpredict.scoring.decode import Decoder
from batchpredict.scoring.fields import FieldRule

Load = Callable[..., SavedModel]


@pytest.fixture(scope="module")
def load(testdata: str) -> Load:
    return lambda model, *signature, **how: SavedModel(os.path.join(testdata, "models", model), *signature, **how)


def floats(*values: Any) -> Any:
    return np.array(values, np.float32)


class TestLoaded:
    def test_outputs_that_are_reference_variables(self, load: Load) -> None:
        outputs = load("reference_outputs").call({"x": floats(1, 2, 3)}, 3)
        assert outputs["y"].tolist() == [2, 4, 6]
        assert outputs["weights"].tolist() == [[2, 3]] * 3

    def test_outputs_are_not_overwritten_by_the_next_call(self, load: Load) -> None:
        model = load("reference_outputs")
        first = model.call({"x": floats(1)}, 1)
        model.call({"x": floats(5)}, 1)
        assert first["y"].tolist() == [2]

    @pytest.mark.parametrize("signature", ["unknown", "scalar"])
    def test_the_graph_s_shape_wins_over_the_signature_s(self, load: Load, signature: str) -> None:
        model = load("regress_shapes", signature)
        assert model.signature.inputs == (TensorSpec("inputs", "float32", (None, 3)),)
        assert model.call({"inputs": floats([1, 2, 3], [0, 0, 1])}, 2)["outputs"].tolist() == [12, 2]

    def test_a_keras_2_model_with_its_optimizer(self, load: Load) -> None:
        model = load("keras2_optimizer")
        assert model.call({"x": floats([1, 2], [1, 2])}, 2)["y"].shape == (2, 1)

    def test_a_table_that_is_filled_from_an_asset(self, load: Load) -> None:
        assert load("table_of_assets").call({"x": np.array([1, 0, 5])}, 3)["word"].tolist() == [
            b"one",
            b"zero",
            b"?",
        ]

    def test_inputs_with_names_that_python_keeps(self, load: Load) -> None:
        columns = {"class": floats(1), "from": floats(2), "self": floats(4)}
        assert load("python_words").call(columns, 1)["lambda"].tolist() == [7]


class TestSparseInputs:
    def test_a_list_is_the_values_of_a_row(self, load: Load) -> None:
        columns = {
            "values": Ragged([floats(1, 2), floats(), floats(4)]),
            "words": Ragged([np.array(row, object) for row in ([], [b"a"], [b"b", b"c"])]),
            "x": floats(2, 4, 6),
        }
        outputs = load("transform_sparse").call(columns, 3)
        assert outputs["total"].tolist() == [3, 0, 4]
        assert outputs["count"].tolist() == [0, 1, 2]
        assert outputs["first"].tolist() == [b"", b"a", b"b"]
        assert outputs["scaled"].tolist() == [1, 2, 3]

    def test_rows_of_unlike_lengths_share_a_call(self, load: Load) -> None:
        model = load("transform_sparse")
        words = Ragged([np.array([b"w"] * length, object) for length in range(6)])
        columns: dict[str, Column] = {
            "values": np.ones((6, 2), np.float32),
            "words": words,
            "x": np.zeros(6, np.float32),
        }
        scorer = Scorer(model, 6)
        (piece,), refusals = scorer.score(columns, 6)
        assert not refusals
        assert scorer.stats.calls == 1
        assert piece.outputs["count"].tolist() == list(range(6))


class TestWithoutBatchDimension:
    @pytest.mark.parametrize("count", [1, 2, 3, 4])
    def test_an_output_that_depends_on_no_input_is_given_to_every_row(self, load: Load, count: int) -> None:
        outputs = load("without_batch", "labels").call({"x": np.ones(count, np.float32)}, count)
        assert outputs["labels"].tolist() == [[b"a", b"b", b"c"]] * count
        assert outputs["version"].tolist() == [7] * count
        assert outputs["y"].tolist() == [2] * count

    @pytest.mark.parametrize(("signature", "output"), [("total", "total"), ("mean", "mean")])
    def test_one_that_depends_on_the_batch_is_refused_by_name(
        self, load: Load, signature: str, output: str
    ) -> None:
        with pytest.raises(
            ModelUnusable, match=f"^Output {output} of signature {signature} has no batch dimension"
        ):
            load("without_batch", signature)

    def test_rows_with_equal_values_of_a_scalar_input_share_a_call(self, load: Load) -> None:
        model = load("without_batch", "threshold")
        scorer = Scorer(model, 8)
        columns = {"x": floats(*range(8)), "threshold": floats(0, 5, 0, 5, 0, 5, 0, 9)}
        pieces, refusals = scorer.score(columns, 8)
        found = {row: piece.outputs["y"][at] for piece in pieces for at, row in enumerate(piece.rows)}
        assert not refusals
        assert scorer.stats.calls == 3
        assert [found[row] for row in range(8)] == [0, 0, 1, 0, 1, 0, 1, 0]

    def test_one_value_for_all_rows_is_one_call(self, load: Load) -> None:
        scorer = Scorer(load("without_batch", "threshold"), 8)
        scorer.score({"x": floats(*range(8)), "threshold": floats(*[3] * 8)}, 8)
        assert scorer.stats.calls == 1

    @pytest.mark.parametrize("batch", [1, 2, 8])
    def test_a_call_is_one_record_where_no_input_is_batched(self, load: Load, batch: int) -> None:
        scorer = Scorer(load("without_batch", "records"), batch)
        (piece,), _ = scorer.score({"a": floats(1, 2, 3), "b": floats(2, 2, 2)}, 3)
        assert piece.outputs["product"].tolist() == [2, 4, 6]
        assert piece.outputs["pair"].tolist() == [[1, 2], [2, 2], [3, 2]]

    def test_what_is_special_is_said(self, load: Load) -> None:
        assert load("without_batch", "labels").signature.remarks == (
            "output labels of signature labels has no batch dimension and depends on no input, so every "
            "prediction holds all of it",
            "output version of signature labels has no batch dimension and depends on no input, so every "
            "prediction holds all of it",
        )
        assert load("double").signature.remarks == ()


SCORED = {"float16": 1.5, "bfloat16": 1.5, "qint8": -3, "uint64": 2**64 - 1, "unknown_rank": 1.5}
NOT_SCORED = {
    "complex_input": "Input x of signature complex_input is of type complex64, which no record can hold.",
    "complex_output": "Output y of signature complex_output is of type complex64.",
    "variant_output": "Output y of signature variant_output is of type variant.",
    "resource_input": "Input x of signature resource_input is of type resource, which no record can hold.",
    "ragged_input": "An input of signature ragged_input is a RaggedTensor, of which the signature lists only the "
    "parts (x, x_1); dense inputs can be read, and sparse ones that the signature names as such.",
    "sparse_parts": "An input of signature sparse_parts is a SparseTensor, of which the signature lists only the "
    "parts (x, x_1, x_2); dense inputs can be read, and sparse ones that the signature names as such.",
    "ragged_output": "Output y of signature ragged_output is a RaggedTensor; only plain tensors can be read and "
    "written, and sparse ones can be read.",
    "no_inputs": "Signature no_inputs has no inputs, so there is nothing that a record could be.",
}


class TestOddTypes:
    def test_each_signature_is_scored_or_refused(self, testdata: str) -> None:
        names = {signature.name for signature in look(os.path.join(testdata, "models", "odd_types")).signatures}
        assert names == set(SCORED) | set(NOT_SCORED)

    @pytest.mark.parametrize("name", SCORED)
    def test_scored(self, load: Load, make: Any, name: str) -> None:
        model = load("odd_types", name)
        line = str(SCORED[name]).encode()
        instances, refusals = Decoder(model.signature, FieldRule(), text=True)(0, make.run(line, line))
        assert not refusals
        assert model.call(instances.columns, 2)["y"].tolist() == [SCORED[name]] * 2

    @pytest.mark.parametrize("name", NOT_SCORED)
    def test_refused_by_one_sentence(self, load: Load, name: str) -> None:
        with pytest.raises(ModelUnusable) as caught:
            load("odd_types", name)
        assert str(caught.value) == NOT_SCORED[name]


class TestNotUsable:
    def test_an_op_without_a_kernel_is_named_with_the_model(self, load: Load) -> None:
        with pytest.raises(
            ModelUnusable, match=r"^The model at gs://b/m cannot be used: .* op NcclAllReduce \(reduce\)"
        ):
            load("no_kernel", name="gs://b/m")

    def test_one_within_a_function_at_the_first_call(self, load: Load) -> None:
        model = load("no_kernel_in_function")
        with pytest.raises(ModelUnusable, match=r"no kernel for its op NcclAllReduce \(reduce\) on CPU"):
            model.call({"x": floats(1)}, 1)

    def test_an_op_that_tensorflow_does_not_know(self, load: Load) -> None:
        with pytest.raises(
            ModelUnusable, match="cannot be loaded: it has the op FancyActivation, which TensorFlow"
        ):
            load("no_such_op")

    def test_a_variable_that_nobody_has_initialised(self, load: Load) -> None:
        with pytest.raises(ModelUnusable, match="uninitialized value local"):
            load("not_initialized", "variable").call({"x": floats(1)}, 1)

    def test_a_table_that_nobody_has_initialised(self, load: Load) -> None:
        with pytest.raises(ModelUnusable, match=r"its op LookupTableFindV2 .* failed: Table not initialized"):
            load("not_initialized", "table").call({"x": floats(1)}, 1)

    def test_a_kernel_that_lacks_a_case(self, load: Load) -> None:
        with pytest.raises(ModelUnusable, match=r"its op MaxPool \(pool\) failed"):
            load("statuses", "channels_first")


def signatures() -> list[tuple[str, str]]:
    """Every signature of every model in the test data."""
    from support import DIGITS_MODEL, MODELS

    paths = [
        DIGITS_MODEL,
        *(os.path.join(MODELS, name) for name in sorted(os.listdir(MODELS)) if name != "not_a_model"),
    ]
    return [(path, signature.name) for path in paths for signature in look(path).signatures]


# What these models say of an instance is about its value and not its form.
REFUSE_ANY = {"refuses_all", "bad_outer", "statuses"}
# Their signatures are sound, and what is wrong shows when they are loaded or called.
BROKEN = {
    ("no_kernel", "serving_default"),
    ("no_kernel_in_function", "serving_default"),
    ("no_such_op", "serving_default"),
    ("not_initialized", "table"),
    ("not_initialized", "variable"),
    ("statuses", "channels_first"),
}


SIGNATURES = signatures()


@pytest.mark.parametrize(("path", "name"), SIGNATURES, ids=os.path.basename)
def test_the_example_line_of_a_signature_is_accepted(path: str, name: str, make: Any) -> None:
    found = look(path)
    signature = next(one for one in found.signatures if one.name == name)
    line = found.example(signature)
    if line is None:
        with pytest.raises(ModelUnusable, match=rf"[Ss]ignature {name}\b"):
            SavedModel(path, name)
    elif (os.path.basename(path), name) in BROKEN:
        with pytest.raises(ModelUnusable, match=r"^The model at "):
            score_line(SavedModel(path, name), line, make)
    elif signature.single_string_input is not None:
        assert line == "the line itself is the value of the only input"
    else:
        model = SavedModel(path, name)
        assert model.signature == signature
        failed = score_line(model, line, make)
        assert not failed or os.path.basename(path) in REFUSE_ANY
        assert all(refused.code != INVALID_INPUTS for refused in failed.values())


def score_line(model: SavedModel, line: str, make: Any) -> dict[int, RecordRefused]:
    """Decode a line and call the model with it; what the model refuses."""
    instances, refusals = Decoder(model.signature, FieldRule(), text=True)(0, make.run(line.encode()))
    assert not refusals
    return Scorer(model, 4).score(instances.columns, 1)[1]


def test_a_sparse_row_longer_than_its_dimension_is_refused(load: Load) -> None:
    from batchpredict.models.feeds import feed

    spec = TensorSpec("s", "float32", (None, 3), sparse=True)
    values, indices, shape = feed(np.ones((2, 2), np.float32), spec, np.dtype(np.float32))
    assert values.tolist() == [1] * 4
    assert indices.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert shape.tolist() == [2, 3]
    with pytest.raises(RecordRefused, match="rows of at most 3 values, got 4"):
        feed(np.ones((2, 4), np.float32), spec, np.dtype(np.float32))
