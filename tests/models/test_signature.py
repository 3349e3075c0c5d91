"""Which signature of a model is used, and what is known of it."""

from __future__ import annotations

import pytest

from batchpredict.errors import ModelUnusable
from batchpredict.models.signature import Signature, TensorSpec, choose_signature


class TestChoose:
    def test_the_only_one_is_used_whatever_its_name(self) -> None:
        assert choose_signature(["score"], None) == "score"

    def test_of_several_the_default_is_used(self) -> None:
        assert choose_signature(["score", "serving_default"], None) == "serving_default"

    def test_the_one_that_was_asked_for_is_used(self) -> None:
        assert choose_signature(["score", "serving_default"], "score") == "score"

    def test_the_only_one_does_not_stand_in_for_another_that_was_asked_for(self) -> None:
        with pytest.raises(ModelUnusable) as caught:
            choose_signature(["score"], "rank")
        assert str(caught.value) == "No signature found for signature key rank. The model has: score."

    def test_several_without_a_default_need_a_name(self) -> None:
        with pytest.raises(ModelUnusable) as caught:
            choose_signature(["b", "a"], None)
        assert str(caught.value) == "No signature found for signature key serving_default. The model has: a, b."

    def test_a_model_without_signatures_cannot_be_used(self) -> None:
        with pytest.raises(ModelUnusable) as caught:
            choose_signature([], None)
        message = "No signature found for signature key serving_default. The model has: none at all."
        assert str(caught.value) == message


def signature(*inputs: TensorSpec) -> Signature:
    return Signature("s", inputs, ())


class TestSignature:
    def test_a_lone_string_input_takes_records_as_they_are(self) -> None:
        line = TensorSpec("line", "string", (None,))
        assert signature(line).single_string_input is line

    @pytest.mark.parametrize(
        "inputs",
        [
            (TensorSpec("x", "float32", (None,)),),
            (TensorSpec("a", "string", (None,)), TensorSpec("b", "string", (None,))),
        ],
    )
    def test_any_other_input_does_not(self, inputs: tuple[TensorSpec, ...]) -> None:
        assert signature(*inputs).single_string_input is None

    def test_batch_size_of_the_graph(self) -> None:
        assert signature(TensorSpec("x", "float32", (8, 4))).fixed_batch == 8
        assert signature(TensorSpec("x", "float32", (None, 4))).fixed_batch is None
        assert signature(TensorSpec("x", "float32", None)).fixed_batch is None

    def test_a_tensor_reads_as_type_and_sizes(self) -> None:
        assert str(TensorSpec("x", "float32", (None, 4))) == "float32 [?, 4]"
        assert str(TensorSpec("x", "string", None)) == "string [?]"
