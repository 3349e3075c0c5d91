"""The digits: images of 8 x 8 pixels of 0..16, and the digit that each shows."""

from __future__ import annotations

import json

import numpy as np
import tensorflow as tf

Rows = tuple[np.ndarray, np.ndarray]
"""Pixels, float32 [n, 64], and digits, int32 [n]."""


def load(folder: str | None) -> Rows:
    """The digits in a folder like `testdata/digits`; without one, ten patterns under noise."""
    if folder is None:
        return make()
    with tf.io.gfile.GFile(f"{folder}/keyed/digits.json") as file:
        pixels = [json.loads(line)["pixels"] for line in file]
    with tf.io.gfile.GFile(f"{folder}/labels.json") as file:
        digits = json.load(file)
    return np.array(pixels, np.float32), np.array(digits, np.int32)


def make(rows: int = 1800) -> Rows:
    """Ten patterns under noise, the same in each process."""
    random = np.random.default_rng(17)
    patterns = random.uniform(0, 16, (10, 64))
    digits = random.integers(0, 10, rows)
    pixels = np.clip(patterns[digits] + random.normal(0, 4, (rows, 64)), 0, 16)
    return pixels.astype(np.float32), digits.astype(np.int32)
