"""Make the small SavedModels under `testdata/models`.

    python testdata/make_models.py                  # all of them
    python testdata/make_models.py double crashes   # only these

Each function below and in `serving_models.py` makes the model of its own name, and its docstring is the model's
contract. Weights come from fixed seeds. Every model is made in a forked process of its own, because TensorFlow
numbers the functions of a graph with a process-wide counter: remaking one model or all of them gives the same
bytes, except `keras_functional`, as its docstring says. A newer TensorFlow or Keras may write other bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import serving_models
import tensorflow as tf

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")

SLOW_WIDTH = 96
"""Hidden units of `stateful_free_slow`: its weights take 45 kB, where 128 would pass 80 kB."""

SLOW_STEPS = 235
"""Matmuls per batch in `stateful_free_slow`: about 5 ms for 64 rows on one core with one intra-op thread."""


def double(path: str) -> None:
    """The smallest model: float32 `x` [n] -> float32 `y` [n], y = 2x."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        return {"y": 2.0 * x}

    save(path, serving_default=run)


def two_inputs(path: str) -> None:
    """Several inputs of unlike dtype: float32 `a` [n, 2], int64 `b` [n] -> float32 `sum` [n], a0 + a1 + b."""

    @inputs(a=tf.TensorSpec([None, 2], tf.float32), b=tf.TensorSpec([None], tf.int64))
    def run(a, b):
        return {"sum": tf.reduce_sum(a, axis=1) + tf.cast(b, tf.float32)}

    save(path, serving_default=run)


def echo_string(path: str) -> None:
    """One string input, which gets the raw line: `line` [n] -> int32 `length` in bytes, `line`, `line_bytes`.

    Both string outputs carry the same bytes; only the `_bytes` in the second name asks an encoder for base64.
    """

    @inputs(line=tf.TensorSpec([None], tf.string))
    def run(line):
        return {
            "length": tf.strings.length(line),
            "line": tf.identity(line),
            "line_bytes": tf.identity(line),
        }

    save(path, serving_default=run)


def image(path: str) -> None:
    """Binary beside text: string `image_bytes`, `tag` [n] -> int64 `size` in bytes [n], string `tag` [n]."""

    @inputs(image_bytes=tf.TensorSpec([None], tf.string), tag=tf.TensorSpec([None], tf.string))
    def run(image_bytes, tag):
        return {"size": tf.cast(tf.strings.length(image_bytes), tf.int64), "tag": tf.identity(tag)}

    save(path, serving_default=run)


def refuses_negative(path: str) -> None:
    """Square root, float32 `x` [n] -> `y` [n]; a row below 0 fails the call, InvalidArgument "negative x"."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, message="negative x")]):
            return {"y": tf.sqrt(x)}

    save(path, serving_default=run)


def refuses_all(path: str) -> None:
    """Float32 `x` [n] -> `y` [n]; loads well and fails every call, InvalidArgument "no row is accepted"."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        # The condition must depend on the input, or the assertion already fails while the graph is traced.
        refusal = tf.debugging.Assert(tf.size(x) < 0, ["no row is accepted", tf.size(x)])
        with tf.control_dependencies([refusal]):
            return {"y": tf.identity(x)}

    save(path, serving_default=run)


def crashes(path: str) -> None:
    """A row of 666 kills the process with SIGABRT; any other is echoed: float32 `x` [n] -> `y` [n]."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        def die():
            # The op has no output and no side effect that tracing would notice, so it is tied to the result.
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="666", exit_without_error=False)]):
                return tf.identity(x)

        return {"y": tf.cond(tf.reduce_any(tf.equal(x, 666.0)), die, lambda: tf.identity(x))}

    save(path, serving_default=run)


def fixed_batch(path: str) -> None:
    """Takes batches of 8 rows and refuses any other: float32 `x` [8, 4] -> `y` [8], the row sums."""

    @inputs(x=tf.TensorSpec([8, 4], tf.float32))
    def run(x):
        # A loaded signature does not hold its caller to the declared shape; most graphs of fixed size do, by
        # a reshape or a concatenation within.
        return {"y": tf.reduce_sum(tf.ensure_shape(x, [8, 4]), axis=1)}

    save(path, serving_default=run)


def varlen(path: str) -> None:
    """Rows of any length k: float32 `x` [n, k] -> row sums `total` [n], and `padded` [n, k], which is x."""

    @inputs(x=tf.TensorSpec([None, None], tf.float32))
    def run(x):
        return {"total": tf.reduce_sum(x, axis=1), "padded": tf.identity(x)}

    save(path, serving_default=run)


def nonfinite(path: str) -> None:
    """Values JSON has no word for: float32 `x` [n] -> `y` = 1/x (inf at 0), `log` (-inf at 0, nan below)."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        return {"y": 1.0 / x, "log": tf.math.log(x)}

    save(path, serving_default=run)


def bad_outer(path: str) -> None:
    """One row too many: float32 `x` [n] -> `y` [n + 1], which is x and then a zero."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        return {"y": tf.concat([x, [0.0]], axis=0)}

    save(path, serving_default=run)


def bad_text(path: str) -> None:
    """Text that is not always UTF-8: float32 `x` [n] -> `text` [n], bytes FF FE if x < 0, else "fine"."""

    @inputs(x=tf.TensorSpec([None], tf.float32))
    def run(x):
        return {"text": tf.where(x < 0, tf.constant(b"\xff\xfe"), tf.constant(b"fine"))}

    save(path, serving_default=run)


def tf1_estimator_style(path: str) -> None:
    """A SavedModel as TensorFlow 1 estimators wrote it: graph, session, reference variables, a main op.

    `serving_default` (method name classify) and `predict` (method name predict): string `inputs` [n],
    serialized tf.Examples with one float `x` -> float32 `scores` [n, 2], the softmax of [-2x, 2x]. The factor
    2 is in the checkpoint; a zero added to the logits is not, and is set by the main op alone, so a session
    that leaves the main op out fails with "uninitialized value".
    """
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="inputs")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        weights = v1.get_variable("weights", initializer=[[-2.0, 2.0]], use_resource=False)
        offset = v1.get_variable(
            "offset",
            initializer=[0.0, 0.0],
            collections=[v1.GraphKeys.LOCAL_VARIABLES],
            trainable=False,
            use_resource=False,
        )
        scores = tf.nn.softmax(tf.matmul(x, weights) + offset, name="scores")
        signatures = {
            "serving_default": v1.saved_model.classification_signature_def(examples, None, scores),
            "predict": v1.saved_model.predict_signature_def({"inputs": examples}, {"scores": scores}),
        }
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session,
            [v1.saved_model.tag_constants.SERVING],
            signature_def_map=signatures,
            main_op=tf.group(v1.local_variables_initializer(), v1.tables_initializer()),
            strip_default_attrs=True,
        )
        builder.save()


def keras_functional(path: str) -> None:
    """What `model.export()` of Keras 3 writes: float32 `x` [n, 4] -> `output_0` [n, 3].

    Keras registers the one function twice, as `serve` and as `serving_default`. The order of the variables
    in its files is not fixed: alone among the models, this one has other bytes each time it is made.
    """
    keras.utils.set_random_seed(4)
    x = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(8, activation="relu")(x)
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax")(hidden))
    model.export(path, verbose=False)


def examples16(path: str) -> None:
    """The benchmark model, dense 16 -> 32 relu -> 4 softmax, in both shapes a user may feed it.

    `serving_default`: string `examples` [n], serialized tf.Examples with a float `x` of 16 values; `dense`:
    float32 `x` [n, 16]; both -> float32 `scores` [n, 4].
    """
    first, second = weights(16, [(16, 32), (32, 4)])

    def score(x):
        return tf.nn.softmax(tf.matmul(tf.nn.relu(tf.matmul(x, first)), second))

    save(path, [first, second], **examples_and_dense(score))


def stateful_free_slow(path: str) -> None:
    """A model that costs more than all around it: about 5 ms per 64 rows on one core, whatever the values.

    Signatures and shapes as `examples16`. The time goes into `SLOW_STEPS` matmuls in a loop, about 1.5 ms
    for one row and 14 ms for 256. Nothing is kept between calls: a row gives the same scores in any batch, up
    to float rounding.
    """
    first, middle, last = weights(5, [(16, SLOW_WIDTH), (SLOW_WIDTH, SLOW_WIDTH), (SLOW_WIDTH, 4)])

    def score(x):
        _, hidden = tf.while_loop(
            lambda step, _: step < SLOW_STEPS,
            lambda step, hidden: (step + 1, tf.tanh(tf.matmul(hidden, middle))),
            (tf.constant(0), tf.matmul(x, first)),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, SLOW_WIDTH])),
        )
        return tf.nn.softmax(tf.matmul(hidden, last))

    save(path, [first, middle, last], **examples_and_dense(score))


def no_signatures(path: str) -> None:
    """Loads well and offers nothing to call."""
    save(path)


def not_a_model(path: str) -> None:
    """A folder whose `saved_model.pb` is not a protocol buffer."""
    os.makedirs(path)
    with open(os.path.join(path, "saved_model.pb"), "wb") as file:
        file.write(b"\xff\xff This is not a SavedModel.\n")


MODELS: dict[str, Callable[[str], None]] = {
    make.__name__: make
    for make in (
        double,
        two_inputs,
        echo_string,
        image,
        refuses_negative,
        refuses_all,
        crashes,
        fixed_batch,
        varlen,
        nonfinite,
        bad_outer,
        bad_text,
        tf1_estimator_style,
        keras_functional,
        examples16,
        stateful_free_slow,
        no_signatures,
        not_a_model,
    )
} | serving_models.MODELS


def inputs(**specs: tf.TensorSpec) -> Any:
    """Makes a graph function of a Python function; its inputs have these names, dtypes and shapes."""
    named = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()]
    return tf.function(input_signature=named, autograph=False)


def weights(seed: int, shapes: Sequence[tuple[int, int]]) -> list[tf.Variable]:
    """Normal float32 matrices over sqrt(rows), so that a signal neither dies nor saturates on its way."""
    rng = np.random.default_rng(seed)
    return [
        tf.Variable((rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32), name=f"weights_{i}")
        for i, shape in enumerate(shapes)
    ]


def examples_and_dense(
    score: Callable[[tf.Tensor], tf.Tensor],
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Two signatures of one function of float32 [n, 16]: tf.Examples by default, and `dense`."""

    @inputs(examples=tf.TensorSpec([None], tf.string))
    def from_examples(examples):
        row = tf.io.FixedLenFeature([16], tf.float32)
        return {"scores": score(tf.io.parse_example(examples, {"x": row})["x"])}

    @inputs(x=tf.TensorSpec([None, 16], tf.float32))
    def dense(x):
        return {"scores": score(x)}

    return {"serving_default": from_examples, "dense": dense}


def save(
    path: str,
    variables: Sequence[tf.Variable] = (),
    **signatures: tf.types.experimental.PolymorphicFunction,
) -> None:
    """Write a SavedModel of exactly these signatures."""
    module = tf.Module()
    module.owned = list(variables)
    tf.saved_model.save(module, path, signatures=signatures)


def remake(name: str) -> None:
    """Make one model from nothing."""
    path = os.path.join(ROOT, name)
    shutil.rmtree(path, ignore_errors=True)
    MODELS[name](path)
    fingerprint = os.path.join(path, "fingerprint.pb")
    if os.path.exists(fingerprint):
        os.remove(fingerprint)  # It holds a random id, and no loader needs it.


def main(names: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(MODELS))
    if unknown:
        sys.exit(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    fork = multiprocessing.get_context("fork")  # Nothing has used TensorFlow yet, so no thread is lost by it.
    for name in names or MODELS:
        process = fork.Process(target=remake, args=(name,))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"{name} could not be made")
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
