"""Loops over a SavedModel without Beam, as fast as we can write them: the limit that ours is compared with.

They read files, call the model batch by batch and write JSON lines. They cut nothing, commit nothing, and die of
the first bad record. Each process is given whole files, so that nothing has to be cut.
"""

from __future__ import annotations

import gc
import itertools
import json
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import google_crc32c
import numpy as np
import orjson
from measure import command

# Rows that cross from Python to tf.data or back at a time, where a variant is free to choose.
_BLOCK_ROWS = 4096
_BUFFER = 1 << 20
_WIDTH = 16


@dataclass(frozen=True)
class Loop:
    """One way to write the loop.

    Attributes:
      variant: a key of `VARIANTS`.
      processes: processes that share the files.
      threads: intra-op and inter-op threads of TensorFlow in each of them.
      whole: JSON is made of many rows at once and cut at their borders. That works for one output of finite
        numbers only, so hardly anybody would write it; but it is several times faster, and ours does as much.
    """

    variant: str
    processes: int
    threads: int
    whole: bool = False

    def __str__(self) -> str:
        cores = f"{_count(self.processes, 'process', 'es')}, {_count(self.threads, 'thread', 's')}"
        return f"{self.variant}; {cores}{'; JSON of whole arrays' if self.whole else ''}"


def _count(number: int, what: str, more: str) -> str:
    return f"{number} {what}{more if number > 1 else ''}"


def ways(data_format: str, cores: int) -> list[Loop]:
    """The loops that compete for a format on so many cores.

    Arrow's JSON reader was tried too and is left out: it decodes these lines at half the speed of orjson.
    """
    if data_format == "TF_RECORD":
        plain, inside, other = "tf.data", "tf.data, model inside", "Python reader"
    else:
        plain, inside, other = "lines", "lines, model inside", "lines, thread"
    shared = [Loop(variant, cores, 1) for variant in (plain, inside, other)]
    alone = [Loop(plain, 1, 1), Loop(plain, 1, cores), Loop(inside, 1, cores)]
    return [*shared, *alone, *(replace(loop, whole=True) for loop in shared)]


@dataclass(frozen=True)
class Order:
    """What one run of a loop is to do."""

    loop: Loop
    data_format: str
    files: tuple[str, ...]
    output: str
    model: str
    batch: int


def argument(order: Order) -> dict[str, Any]:
    return asdict(order)


def main() -> None:
    """Run a loop and print how many records it scored, and in how many seconds without its start."""
    fields = json.loads(sys.argv[1])
    order = Order(**{**fields, "loop": Loop(**fields["loop"]), "files": tuple(fields["files"])})
    print(json.dumps(_share(order) if order.loop.processes > 1 else _loop(order)))


def _share(order: Order) -> dict[str, Any]:
    """Every process gets every n-th file and writes an output of its own."""
    count = order.loop.processes
    children = []
    for number in range(count):
        part = replace(
            order,
            loop=replace(order.loop, processes=1),
            files=order.files[number::count],
            output=f"{order.output}-{number}",
        )
        children.append(subprocess.Popen(command("references", argument(part)), stdout=subprocess.PIPE))
    said = [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]
    return {
        "predictions": sum(one["predictions"] for one in said),
        "loop_seconds": max(one["loop_seconds"] for one in said),
    }


def _loop(order: Order) -> dict[str, Any]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(order.loop.threads)
    tf.config.threading.set_inter_op_parallelism_threads(order.loop.threads)
    model = tf.saved_model.load(order.model)
    name, call = VARIANTS[order.loop.variant]
    signature = model.signatures[name]
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    written = 0
    lines = _lines_of_array if order.loop.whole else _lines_of_rows
    with open(order.output, "wb", buffering=_BUFFER) as file:
        for scores in call(order, signature):
            file.write(lines(scores))
            written += len(scores)
    return {"predictions": written, "loop_seconds": time.perf_counter() - started}


def _lines_of_array(scores: Any) -> bytes:
    rows = orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    return b'{"scores":' + rows.replace(b"],[", b']}\n{"scores":[') + b"}\n"


def _lines_of_rows(scores: Any) -> bytes:
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    return b"".join([dumps({"scores": row}, option=newline) for row in scores.tolist()])


def _data_options(dataset: Any, threads: int) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.autotune.enabled = False
    return dataset.with_options(options)


def _tf_data(order: Order, signature: Any) -> Iterator[Any]:
    import tensorflow as tf

    batches = tf.data.TFRecordDataset(list(order.files), buffer_size=_BUFFER).batch(order.batch).prefetch(8)
    for batch in _data_options(batches, order.loop.threads):
        yield signature(examples=batch)["scores"].numpy()


def _tf_data_inside(order: Order, signature: Any) -> Iterator[Any]:
    import tensorflow as tf

    batches = tf.data.TFRecordDataset(list(order.files), buffer_size=_BUFFER).batch(order.batch)
    yield from _mapped(batches, lambda batch: signature(examples=batch)["scores"], order)


def _mapped(batches: Any, model: Callable[[Any], Any], order: Order) -> Iterator[Any]:
    """Scores of batches by a model that runs in tf.data; they come back many rows at a time, which is free."""
    scores = batches.map(model, num_parallel_calls=order.loop.threads, deterministic=True)
    if order.batch < _BLOCK_ROWS:
        scores = scores.rebatch(_BLOCK_ROWS)
    for block in _data_options(scores.prefetch(4), order.loop.threads):
        yield block.numpy()


def _python_reader(order: Order, signature: Any) -> Iterator[Any]:
    import tensorflow as tf

    records = itertools.chain.from_iterable(map(_tfrecords, order.files))
    while batch := list(itertools.islice(records, order.batch)):
        yield signature(examples=tf.constant(batch))["scores"].numpy()


def _tfrecords(path: str) -> Iterator[bytes]:
    header, checksum = struct.Struct("<QI"), struct.Struct("<I")
    value = google_crc32c.value
    with open(path, "rb", buffering=_BUFFER) as file:
        read = file.read
        while start := read(12):
            length, _ = header.unpack(start)
            data = read(length)
            crc = value(data)
            masked = ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
            if checksum.unpack(read(4))[0] != masked:
                raise ValueError(f"{path} is damaged")
            yield data


def _line_blocks(order: Order, rows: int) -> Iterator[Any]:
    """float32 [rows, 16], decoded line by line."""
    loads = orjson.loads
    for path in order.files:
        with open(path, "rb", buffering=_BUFFER) as file:
            while lines := list(itertools.islice(file, rows)):
                yield np.array([loads(line)["x"] for line in lines], np.float32)


def _lines_direct(order: Order, signature: Any) -> Iterator[Any]:
    for batch in _line_blocks(order, order.batch):
        yield signature(x=_constant(batch))["scores"].numpy()


def _lines_thread(order: Order, signature: Any) -> Iterator[Any]:
    """Reading and decoding in a thread; the model lets go of the interpreter while it runs."""
    ready: queue.Queue[Any] = queue.Queue(8)

    def read() -> None:
        for block in _line_blocks(order, max(order.batch, _BLOCK_ROWS // order.batch * order.batch)):
            ready.put(block)
        ready.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (block := ready.get()) is not None:
        for start in range(0, len(block), order.batch):
            yield signature(x=_constant(block[start : start + order.batch]))["scores"].numpy()


def _lines_inside(order: Order, signature: Any) -> Iterator[Any]:
    import tensorflow as tf

    spec = tf.TensorSpec([None, _WIDTH], tf.float32)
    blocks = tf.data.Dataset.from_generator(lambda: _line_blocks(order, _BLOCK_ROWS), output_signature=spec)
    yield from _mapped(blocks.rebatch(order.batch), lambda batch: signature(x=batch)["scores"], order)


def _constant(batch: Any) -> Any:
    import tensorflow as tf

    return tf.constant(batch)


# Name -> signature, loop.
VARIANTS: dict[str, tuple[str, Callable[[Order, Any], Iterator[Any]]]] = {
    "tf.data": ("serving_default", _tf_data),
    "tf.data, model inside": ("serving_default", _tf_data_inside),
    "Python reader": ("serving_default", _python_reader),
    "lines": ("dense", _lines_direct),
    "lines, thread": ("dense", _lines_thread),
    "lines, model inside": ("dense", _lines_inside),
}
