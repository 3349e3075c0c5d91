"""The small SavedModels of every kind that people have: each is made by the function of its name.

`make_models.py` makes them with the others. What TensorFlow Serving loads and `tf.saved_model.load` does not, what
TensorFlow 1 wrote, signatures without batch dimensions, odd types, and models that fail in a way of their own. The
docstrings are the models' contracts; n is the batch.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

v1 = tf.compat.v1


def reference_outputs(path: str) -> None:
    """A TensorFlow 1 graph that gives reference variables: float32 `x` [n] -> `y` [n], `weights` [2].

    `y` is 2x as an assignment gives it, `weights` the variable [2, 3] itself; both are float32_ref.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        weights = v1.get_variable("weights", initializer=[2.0, 3.0], use_resource=False)
        last = v1.get_variable("last", initializer=[0.0], use_resource=False, validate_shape=False)
        y = v1.assign(last, weights[0] * x, validate_shape=False)
        y.set_shape([None])
        session.run(v1.global_variables_initializer())
        save_v1(path, session, serving_default=predict({"x": x}, {"y": y, "weights": variable_of(weights)}))


def variable_of(variable: Any) -> Any:
    """The reference that a TensorFlow 1 variable is, which reading it would take away."""
    return variable.op.outputs[0]


def regress_shapes(path: str) -> None:
    """Regress signatures that do not say the shape of the graph's placeholder, float32 [n, 3] -> `outputs` [n].

    `unknown` says nothing of the shape of `inputs`, `scalar` that it is (). Outputs are row sums times 2.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        factor = v1.get_variable("factor", initializer=2.0, use_resource=False)
        y = factor * tf.reduce_sum(x, axis=1)
        session.run(v1.global_variables_initializer())
        signatures = {}
        for name in ("unknown", "scalar"):
            signatures[name] = predict({"inputs": x}, {"outputs": y}, v1.saved_model.REGRESS_METHOD_NAME)
            signatures[name].inputs["inputs"].tensor_shape.Clear()
        signatures["unknown"].inputs["inputs"].tensor_shape.unknown_rank = True
        save_v1(path, session, **signatures)


def keras2_optimizer(path: str) -> None:
    """A Keras 2 model with its optimizer, after a step of training: float32 `x` [n, 2] -> `y` [n, 1].

    Needs tf_keras, which is no dependency of anything else here.
    """
    import tf_keras

    tf_keras.utils.set_random_seed(3)
    x = tf_keras.Input((2,), name="x")
    model = tf_keras.Model(x, tf_keras.layers.Dense(1, name="y")(x))
    model.compile(optimizer=tf_keras.optimizers.legacy.Adam(), loss="mse")
    model.fit([[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0]], verbose=0)
    tf_keras.models.save_model(model, path, save_format="tf")
    os.remove(os.path.join(path, "keras_metadata.pb"))


def transform_sparse(path: str) -> None:
    """A transform graph as tf.Transform writes it: tagged `transform`, sparse inputs, one dense beside them.

    `transform_signature`: sparse float32 `values` [n, ?], sparse string `words` [n, ?], float32 `x` [n] ->
    `total` [n], the sum of the values, int64 `count` [n], the number of words, `first` string [n], the first word
    or "", `scaled` [n] = x / 2.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        values = v1.sparse_placeholder(tf.float32, [None, None], name="values")
        words = v1.sparse_placeholder(tf.string, [None, None], name="words")
        x = v1.placeholder(tf.float32, [None], name="x")
        table = tf.sparse.to_dense(words, default_value="")
        # A column of its own, so that there is a first word where no row has any.
        padded = tf.concat([table, tf.fill([tf.shape(table)[0], 1], "")], axis=1)
        outputs = {
            "total": tf.reshape(tf.sparse.reduce_sum(values, axis=1), [-1]),
            "count": tf.reduce_sum(tf.cast(tf.not_equal(padded, ""), tf.int64), axis=1),
            "first": padded[:, 0],
            "scaled": x / 2.0,
        }
        signature = predict({"values": values, "words": words, "x": x}, outputs)
        save_v1(path, session, tags=["transform"], transform_signature=signature)


def no_kernel(path: str) -> None:
    """An op that TensorFlow knows and has no kernel of on a CPU, NcclAllReduce: float32 `x` [n] -> `y` [n]."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.raw_ops.NcclAllReduce(input=x, reduction="sum", num_devices=1, shared_name="one", name="reduce")
        save_v1(path, session, serving_default=predict({"x": x}, {"y": y}))


def no_kernel_in_function(path: str) -> None:
    """The same in a function of TensorFlow 2, where a kernel is looked for in the first call."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def run(x: Any) -> Any:
        reduced = tf.raw_ops.NcclAllReduce(
            input=x, reduction="sum", num_devices=1, shared_name="one", name="reduce"
        )
        return {"y": reduced}

    save_v2(path, serving_default=run)


def no_such_op(path: str) -> None:
    """An op that no TensorFlow knows, as a model of a library with ops of its own: `x` [n] -> `y` [n]."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        save_v1(path, session, serving_default=predict({"x": x}, {"y": tf.nn.relu(x, name="activate")}))
    file = os.path.join(path, "saved_model.pb")
    model = saved_model_pb2.SavedModel()
    with open(file, "rb") as source:
        model.ParseFromString(source.read())
    for node in model.meta_graphs[0].graph_def.node:
        if node.name == "activate":
            node.op = "FancyActivation"
    with open(file, "wb") as target:
        target.write(model.SerializeToString(deterministic=True))


def not_initialized(path: str) -> None:
    """What nobody has initialised: float32 `x` [n] -> `y` [n] by a `variable`, `words` string [n] by a `table`."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        local = v1.get_variable(
            "local",
            initializer=2.0,
            collections=[v1.GraphKeys.LOCAL_VARIABLES],
            trainable=False,
            use_resource=False,
        )
        table = tf.raw_ops.HashTableV2(key_dtype=tf.int64, value_dtype=tf.string, shared_name="words", name="words")
        words = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=tf.cast(x, tf.int64), default_value="")
        variable, lookup = predict({"x": x}, {"y": local * x}), predict({"x": x}, {"words": words})
        save_v1(path, session, variable=variable, table=lookup)


@contextlib.contextmanager
def working_in(folder: str) -> Iterator[None]:
    """Relative names are of this folder meanwhile: `contextlib.chdir`, which Python 3.10 does not have."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def table_of_assets(path: str) -> None:
    """A table that is filled from an asset when the model is loaded: int64 `x` [n] -> string `word` [n].

    0 is zero, 1 is one, anything else is "?".
    """
    # By a relative name, because the graph keeps it.
    path = os.path.abspath(path)
    vocabulary = "words.txt"
    with (
        tempfile.TemporaryDirectory() as folder,
        working_in(folder),
        tf.Graph().as_default(),
        v1.Session() as session,
    ):
        x = v1.placeholder(tf.int64, [None], name="x")
        with open(vocabulary, "w") as file:
            file.write("zero\none\n")
        filename = tf.constant(vocabulary, name="vocabulary")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, filename)
        table = v1.lookup.StaticHashTable(
            v1.lookup.TextFileInitializer(
                filename,
                tf.int64,
                v1.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                v1.lookup.TextFileIndex.WHOLE_LINE,
            ),
            "?",
        )
        signature = predict({"x": x}, {"word": table.lookup(x)})
        save_v1(path, session, main_op=v1.tables_initializer(), serving_default=signature)


def without_batch(path: str) -> None:
    """Outputs and inputs that have no batch dimension, a signature each; float32 `x` [n] -> `y` [n] = 2x.

    `labels`: also string `labels` [3] and int64 `version` (), the same for every batch. `total`: also `total` (),
    the sum of the batch. `mean`: float32 `x` [n, 2] -> `y` [n, 2], `mean` [2] over the batch. `threshold`: also an
    input `threshold` (); y is 1 where x is above it, else 0. `records`: float32 `a` (), `b` () -> `product` (),
    `pair` [2].
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def labels(x: Any) -> Any:
        names = tf.constant(["a", "b", "c"])
        return {"y": 2.0 * x, "labels": names, "version": tf.constant(7, tf.int64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def total(x: Any) -> Any:
        return {"y": 2.0 * x, "total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")], autograph=False)
    def mean(x: Any) -> Any:
        return {"y": 2.0 * x, "mean": tf.reduce_mean(x, axis=0)}

    specs = [tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.float32, "threshold")]

    @tf.function(input_signature=specs, autograph=False)
    def threshold(x: Any, threshold: Any) -> Any:
        return {"y": tf.cast(x > threshold, tf.float32)}

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.float32, "a"), tf.TensorSpec([], tf.float32, "b")], autograph=False
    )
    def records(a: Any, b: Any) -> Any:
        return {"product": a * b, "pair": tf.stack([a, b])}

    save_v2(path, labels=labels, total=total, mean=mean, threshold=threshold, records=records)


def odd_types(path: str) -> None:
    """A signature for each type that few models have, its input `x` [n] and output `y` [n] of that type.

    `float16`, `bfloat16`, `qint8`, `uint64` and `unknown_rank` (float32) can be scored, y = x. `complex_input`,
    `complex_output`, `variant_output`, `resource_input`, `ragged_input`, `ragged_output` and `sparse_parts` (a
    TensorFlow 2 function of a SparseTensor) cannot; nor can `no_inputs`, which gives a constant.
    """

    def same(dtype: Any, shape: Any = (None,)) -> Any:
        return tf.function(
            lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec(shape, dtype, "x")], autograph=False
        )

    def of(*specs: Any) -> Any:
        return tf.function(input_signature=list(specs), autograph=False)

    numbers = tf.TensorSpec([None], tf.float32, "x")
    signatures = {dtype.name: same(dtype) for dtype in (tf.float16, tf.bfloat16, tf.qint8, tf.uint64)}
    signatures["unknown_rank"] = same(tf.float32, None)
    signatures["complex_input"] = of(tf.TensorSpec([None], tf.complex64, "x"))(lambda x: {"y": tf.math.real(x)})
    signatures["complex_output"] = of(numbers)(lambda x: {"y": tf.complex(x, x)})
    signatures["variant_output"] = of(numbers)(lambda x: {"y": tf.raw_ops.TensorListReserve(
        element_shape=tf.constant([], tf.int32), num_elements=tf.size(x), element_dtype=tf.float32)})  # fmt: skip
    signatures["resource_input"] = of(tf.TensorSpec([], tf.resource, "x"), tf.TensorSpec([None], tf.float32, "z"))(
        lambda x, z: {"y": tf.raw_ops.ReadVariableOp(resource=x, dtype=tf.float32) + z}
    )
    signatures["ragged_input"] = of(tf.RaggedTensorSpec([None, None], tf.float32))(
        lambda x: {"y": tf.reduce_sum(x, axis=1)}
    )
    signatures["ragged_output"] = of(numbers)(
        lambda x: {"y": tf.RaggedTensor.from_row_lengths(x, tf.ones_like(x, tf.int64))}
    )
    signatures["sparse_parts"] = of(tf.SparseTensorSpec([None, 4], tf.float32))(
        lambda x: {"y": tf.sparse.reduce_sum(x, axis=1)}
    )
    signatures["no_inputs"] = of()(lambda: {"y": tf.constant([1.0])})
    save_v2(path, **signatures)


def python_words(path: str) -> None:
    """Inputs with names that Python keeps for itself: float32 `class`, `from`, `self` [n] -> their sum `lambda`."""
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = {name: v1.placeholder(tf.float32, [None], name=name) for name in ("class", "from", "self")}
        save_v1(path, session, serving_default=predict(inputs, {"lambda": tf.add_n(list(inputs.values()))}))


def memory_hungry(path: str) -> None:
    """Asks for 2**50 bytes for more than 8 rows, and for any row below 0: float32 `x` [n] -> `y` [n] = x."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def run(x: Any) -> Any:
        large = tf.logical_or(tf.size(x) > 8, tf.reduce_any(x < 0.0))
        size = tf.where(large, tf.constant(2**48, tf.int64), tf.constant(1, tf.int64))
        return {"y": x + tf.fill([size], 0.0)[0]}

    save_v2(path, serving_default=run)


def statuses(path: str) -> None:
    """Failures by the status that TensorFlow gives them, a signature each.

    `files`: string `path` [n], `tag` [n] -> string `content` [n], the file of that name; NotFound if there is none.
    `channels_first`: float64 `x` [n, 1, 2, 2] -> `y` [n], a pooling of channels first, which no CPU does; of
        float32, oneDNN does it.
    `internal`: float32 `x` [n] -> `y` [n] = x; a row below 0 makes an index out of bounds, which is Internal.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, "path"), tf.TensorSpec([None], tf.string, "tag")],
        autograph=False,
    )
    def files(path: Any, tag: Any) -> Any:
        return {"content": tf.map_fn(tf.io.read_file, path, fn_output_signature=tf.string), "tag": tf.identity(tag)}

    @tf.function(input_signature=[tf.TensorSpec([None, 1, 2, 2], tf.float64, "x")], autograph=False)
    def channels_first(x: Any) -> Any:
        pooled = tf.nn.max_pool2d(x, 2, 1, "VALID", data_format="NCHW", name="pool")
        return {"y": tf.reshape(pooled, [-1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def internal(x: Any) -> Any:
        count = tf.size(x, tf.int64)
        rows = tf.where(tf.reduce_any(x < 0.0), tf.zeros_like(count), count)
        indices = tf.stack([tf.range(count), tf.zeros_like(x, tf.int64)], axis=1)
        sums = tf.sparse.reduce_sum(tf.SparseTensor(indices, x, tf.stack([rows, 1])), axis=1)
        return {"y": tf.reshape(sums, [-1])}

    save_v2(path, files=files, channels_first=channels_first, internal=internal)


MODELS: dict[str, Callable[[str], None]] = {
    make.__name__: make
    for make in (
        reference_outputs,
        regress_shapes,
        keras2_optimizer,
        transform_sparse,
        no_kernel,
        no_kernel_in_function,
        no_such_op,
        not_initialized,
        table_of_assets,
        without_batch,
        odd_types,
        python_words,
        memory_hungry,
        statuses,
    )
}


def predict(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], method: str = v1.saved_model.PREDICT_METHOD_NAME
) -> meta_graph_pb2.SignatureDef:
    """A signature of a TensorFlow 1 graph."""
    infos = [
        {alias: v1.saved_model.build_tensor_info(one) for alias, one in many.items()} for many in (inputs, outputs)
    ]
    return v1.saved_model.build_signature_def(*infos, method)


def save_v1(
    path: str,
    session: Any,
    *,
    tags: tuple[str, ...] | list[str] = ("serve",),
    main_op: Any = None,
    **signatures: meta_graph_pb2.SignatureDef,
) -> None:
    """Write the graph of a session as TensorFlow 1 did."""
    builder = v1.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        session,
        list(tags),
        signature_def_map=signatures,
        main_op=main_op,
        assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        strip_default_attrs=True,
    )
    builder.save()


def save_v2(path: str, **signatures: Any) -> None:
    """Write a SavedModel of exactly these functions, which its object knows as well as its signatures."""
    module = tf.Module()
    module.functions = list(signatures.values())
    tf.saved_model.save(module, path, signatures=signatures)
