"""What a record costs in the model alone, in a process of its own: our call, and TensorFlow's functions.

A signature of `tf.saved_model.load` is called in two ways: batch by batch, and chained, where one crossing from
Python runs a loop over several batches within the graph. The chain is the fastest way there is with functions.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

_REPEATS = 15
# Rows that are scored between two looks at the clock, and of a chain.
_ROWS = 16_384
_CHAIN_ROWS = 8192
_CHAIN_LONGEST = 32


def main() -> None:
    """Print microseconds a record by way, for {"path", "signature", "batch"}."""
    order = json.loads(sys.argv[1])

    import numpy as np
    import tensorflow as tf

    from batchpredict.models.saved_model import SavedModel

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    batch = order["batch"]
    batches = min(_CHAIN_LONGEST, max(_CHAIN_ROWS // batch, 1))
    numbers = np.random.default_rng(0).standard_normal((batch * batches, 16)).astype(np.float32)
    model = SavedModel(order["path"], order["signature"], threads=1)
    (spec,) = model.signature.inputs
    column: Any = numbers if spec.dtype == "float32" else [_example(row) for row in numbers]
    loaded = tf.saved_model.load(order["path"])
    function = loaded.signatures[order["signature"]]
    chain = _chain(function, spec.alias, spec.row_shape, spec.dtype, batch)
    cuts = [column[start : start + batch] for start in range(0, batch * batches, batch)]

    whole = {spec.alias: column}

    def ours() -> Any:
        return np.concatenate([piece["scores"] for piece in model.call_batches(whole, len(column), batch)])

    def plain() -> Any:
        return np.concatenate([function(**{spec.alias: tf.constant(rows)})["scores"].numpy() for rows in cuts])

    def chained() -> Any:
        return chain(**{spec.alias: tf.constant(column)})["scores"].numpy()

    ways: dict[str, Callable[[], Any]] = {"ours": ours, "function": plain, "chain": chained}
    # As in a worker: the collector would walk TensorFlow's objects again and again.
    gc.collect()
    gc.freeze()
    results = [way() for way in ways.values()]
    assert all(result.tobytes() == results[0].tobytes() for result in results)
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(_REPEATS):
        for name, way in ways.items():
            found[name] = min(found[name], _seconds(way, batch * batches) * 1e6)
    print(json.dumps(found))


def _seconds(way: Callable[[], Any], rows: int) -> float:
    """Seconds a record."""
    times = max(_ROWS // rows, 1)
    started = time.perf_counter()
    for _ in range(times):
        way()
    return (time.perf_counter() - started) / (times * rows)


def _example(row: Any) -> bytes:
    import tensorflow as tf

    values = tf.train.Feature(float_list=tf.train.FloatList(value=row))
    return bytes(tf.train.Example(features=tf.train.Features(feature={"x": values})).SerializeToString())


def _chain(function: Any, alias: str, row_shape: Any, dtype: str, batch: int) -> Any:
    """The signature in a loop over batches, one after the other."""
    import tensorflow as tf

    output = function.structured_outputs["scores"]

    def chain(**tensors: Any) -> Any:
        count = tf.shape(tensors[alias])[0] // batch
        array = tf.TensorArray(
            output.dtype, size=count, element_shape=(batch, *output.shape[1:]), infer_shape=False
        )

        def body(step: Any, array: Any) -> Any:
            rows = tensors[alias][step * batch : (step + 1) * batch]
            results = function(**{alias: tf.ensure_shape(rows, [batch, *rows.shape[1:]])})
            return step + 1, array.write(step, results["scores"])

        _, array = tf.while_loop(lambda step, _: step < count, body, [tf.constant(0), array], parallel_iterations=1)
        return {"scores": array.concat()}

    spec = tf.TensorSpec([None, *row_shape], dtype, name=alias)
    return tf.function(chain, autograph=False).get_concrete_function(**{alias: spec})
