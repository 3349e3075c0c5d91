"""Which graph of a SavedModel is used, and which dimension of an output is the batch."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from batchpredict.errors import ModelUnusable
from batchpredict.models.meta_graph import check_usable, choose_meta_graph, describe
from batchpredict.models.signature import Signature

v1 = tf.compat.v1


def with_tags(*tags: tuple[str, ...]) -> Any:
    model = saved_model_pb2.SavedModel()
    for names in tags:
        model.meta_graphs.add().meta_info_def.tags.extend(names)
    return model


class TestChoice:
    @pytest.mark.parametrize(
        ("tags", "chosen"),
        [
            ([("serve",)], 0),
            ([("train",), ("serve", "tpu"), ("serve",)], 2),
            ([("transform",)], 0),
            ([()], 0),
            ([("train",), ("serve", "gpu")], 1),
        ],
    )
    def test_the_graph_for_serving_or_the_only_one(self, tags: list[tuple[str, ...]], chosen: int) -> None:
        model = with_tags(*tags)
        assert choose_meta_graph(model) == model.meta_graphs[chosen]

    def test_several_and_none_for_serving(self) -> None:
        with pytest.raises(ModelUnusable) as caught:
            choose_meta_graph(with_tags(("train",), ("eval", "gpu")))
        assert str(caught.value) == "none of its graphs is tagged serve: their tags are train; eval, gpu"

    def test_no_graph(self) -> None:
        with pytest.raises(ModelUnusable, match="it holds no graph"):
            choose_meta_graph(with_tags())


@tf.function
def beside_a_constant(x: Any) -> Any:
    return x + 1, tf.constant([1.0, 2.0, 3.0])


def signature(x: tuple[int | None, ...], output: str) -> Signature:
    """The signature of a graph that takes `x` of a shape and gives something as `y`."""
    graph = tf.Graph()
    with graph.as_default():
        inputs = v1.placeholder(tf.float32, x, name="x")
        y = {
            "same": lambda: tf.identity(inputs),
            "constant of three": lambda: tf.constant([1.0, 2.0, 3.0]),
            "constant of one": lambda: tf.constant([1.0]),
            "constant of a function": lambda: tf.function(lambda x: (tf.constant([1.0, 2.0, 3.0]), x + 1))(inputs)[
                0
            ],
            "sum": lambda: tf.reduce_sum(inputs),
            "mean": lambda: tf.reduce_mean(inputs, axis=0),
            "count in a loop": lambda: tf.while_loop(
                lambda step: step < tf.size(inputs), lambda step: step + 1, [tf.constant(0)]
            )[0],
        }[output]()
        infos = [{name: v1.saved_model.build_tensor_info(one)} for name, one in (("x", inputs), ("y", y))]
    meta_graph = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    meta_graph.signature_def["s"].CopyFrom(v1.saved_model.build_signature_def(*infos))
    bound = describe(meta_graph, "s", graph)
    check_usable(meta_graph, bound)
    return bound.signature


class TestBatchDimension:
    @pytest.mark.parametrize(
        ("x", "output", "batched"),
        [
            ((None, 3), "same", True),
            ((3, 3), "same", True),
            ((None, 3), "constant of three", False),
            ((2, 3), "constant of three", False),
            # The first dimension is the batch that the graph was built for, if it depends on the inputs.
            ((3, 3), "mean", True),
            ((3, 3), "constant of three", False),
            ((3, 3), "constant of a function", False),
            ((1, 3), "constant of one", True),
            # A graph for one record, whose output has lost the dimension.
            ((1, 3), "sum", True),
        ],
    )
    def test_an_output_has_one_or_not(self, x: tuple[int | None, ...], output: str, batched: bool) -> None:
        found = signature(x, output)
        (spec,) = found.outputs
        assert spec.batched is batched
        if not batched:
            assert spec.row_shape == spec.shape

    @pytest.mark.parametrize(
        ("x", "output"),
        [
            ((None, 4), "sum"),
            ((None, 4), "mean"),
            ((None, 4), "count in a loop"),
            ((2, 4), "sum"),
            ((2, 4), "mean"),
        ],
    )
    def test_a_value_of_the_batch_is_refused(self, x: tuple[int | None, ...], output: str) -> None:
        with pytest.raises(ModelUnusable, match=r"^Output y of signature s has no batch dimension"):
            signature(x, output)

    @pytest.mark.parametrize("output", ["sum", "same"])
    def test_all_is_the_record_s_where_a_call_is_one(self, output: str) -> None:
        found = signature((), output)
        assert found.unbatched
        assert not found.outputs[0].batched
