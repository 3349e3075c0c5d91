"""Make `testdata/digits`: a small real model, and the same 1,797 rows in every input format.

    python testdata/make_digits.py

Needs scikit-learn, which nothing else here needs, for its copy of the test set of "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository): images of 8 x 8
pixels with values 0..16, and the digit each shows.

Every format has the rows in the order of their ids, 0 to 1796. The model is trained on the rows whose id is
not divisible by 3; the others are held out, and the accuracy on them is printed. Remaking the data gives the
same bytes; the weights may differ in the last bits on another processor or with another TensorFlow.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from sklearn.datasets import load_digits

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits")

PARTS = 3
"""Files per format: enough for a wildcard to mean something. 1,797 = 3 x 599."""

ROWS_PER_GROUP = 400
"""Rows of a Parquet row group: five groups, the last one short."""


def train(pixels: np.ndarray, digits: np.ndarray) -> keras.Model:
    """Train float32 pixels [n, 64] in 0..16 -> probabilities [n, 10]; the scaling to 0..1 is in the model."""
    keras.utils.set_random_seed(17)
    tf.config.experimental.enable_op_determinism()
    x = keras.Input((64,), name="pixels")
    hidden = keras.layers.Dense(32, activation="relu")(keras.layers.Rescaling(1 / 16)(x))
    model = keras.Model(x, keras.layers.Dense(10, activation="softmax")(hidden))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    model.fit(pixels, digits, batch_size=32, epochs=30, verbose=0)
    return model


def export(model: keras.Model, path: str) -> None:
    """Write the model with two signatures, both -> float32 `probabilities` [n, 10], int64 `digit` [n].

    `serving_default` takes float32 `pixels` [n, 64]; `serving_examples` takes string `examples` [n],
    serialized tf.Examples with a float `pixels` of 64 values, whatever else they hold.
    """

    def score(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = model(pixels)
        return {"probabilities": probabilities, "digit": tf.argmax(probabilities, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, "pixels")], autograph=False)
    def score_pixels(pixels):
        return score(pixels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")], autograph=False)
    def score_examples(examples):
        row = tf.io.FixedLenFeature([64], tf.float32)
        return score(tf.io.parse_example(examples, {"pixels": row})["pixels"])

    module = tf.Module()
    module.owned = [variable.value for variable in model.variables]
    signatures = {"serving_default": score_pixels, "serving_examples": score_examples}
    tf.saved_model.save(module, path, signatures=signatures)
    os.remove(os.path.join(path, "fingerprint.pb"))  # It holds a random id, and no loader needs it.


def example(row: int, pixels: np.ndarray) -> bytes:
    """Serialize a tf.Example of int64 `id` and float `pixels`."""
    features = {
        "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[row])),
        "pixels": tf.train.Feature(float_list=tf.train.FloatList(value=pixels)),
    }
    # Two features are a map, whose order is open unless asked for.
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


def write_json_lines(path: str, objects: Iterable[dict[str, Any]]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(value, separators=(",", ":")) + "\n" for value in objects)


def write_tfrecord(path: str, records: Iterable[bytes]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)


def write_gzip(path: str, source: str) -> None:
    """Compress a file; with no time and no name in the header the same bytes give the same file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(source, "rb") as plain, open(path, "wb") as file:
        file.write(gzip.compress(plain.read(), compresslevel=9, mtime=0))


def write_parquet(path: str, pixels: np.ndarray) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    column = pa.array(list(pixels), pa.list_(pa.float32()))
    pq.write_table(pa.table({"pixels": column}), path, row_group_size=ROWS_PER_GROUP, compression="zstd")


def main() -> None:
    data = load_digits()
    whole = data.data.astype(np.int64)
    pixels, digits = whole.astype(np.float32), data.target.astype(np.int64)
    ids = np.arange(len(pixels))
    shutil.rmtree(ROOT, ignore_errors=True)

    held_out = ids % 3 == 0
    model = train(pixels[~held_out], digits[~held_out])
    guesses = np.argmax(model.predict(pixels[held_out], verbose=0), axis=1)
    accuracy = float(np.mean(guesses == digits[held_out]))
    print(f"accuracy on {held_out.sum()} held-out rows: {accuracy:.4f}")
    if accuracy < 0.95:
        raise SystemExit("the model is too weak to keep")
    export(model, os.path.join(ROOT, "model"))

    for part, rows in enumerate(np.array_split(ids, PARTS)):
        write_json_lines(
            os.path.join(ROOT, "text", f"part-{part}.json"), ({"pixels": whole[i].tolist()} for i in rows)
        )
        plain = os.path.join(ROOT, "tfrecord", f"part-{part}.tfrecord")
        write_tfrecord(plain, (example(int(i), pixels[i]) for i in rows))
        write_gzip(os.path.join(ROOT, "tfrecord_gzip", f"part-{part}.tfrecord.gz"), plain)
    write_parquet(os.path.join(ROOT, "parquet", "digits.parquet"), pixels)
    write_json_lines(
        os.path.join(ROOT, "keyed", "digits.json"), ({"id": int(i), "pixels": whole[i].tolist()} for i in ids)
    )
    with open(os.path.join(ROOT, "labels.json"), "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(digits.tolist(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
