"""The two ways to tell the service how well a trial does."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Protocol

import numpy as np


class Report(Protocol):
    def __call__(self, step: int, value: float) -> None: ...


class Summaries:
    """Event files as TensorBoard reads them, in the directory of the trial."""

    def __init__(self, folder: str, tag: str) -> None:
        # Not before it is needed: its import takes seconds.
        import tensorflow as tf

        self._tag = tag
        self._writer: Any = tf.summary.create_file_writer(folder)
        # What `tf.summary.scalar` writes. That itself needs TensorBoard, which not every TensorFlow brings.
        self._write: Any = tf.summary.write
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self._kind = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class="DATA_CLASS_SCALAR")

    def __call__(self, step: int, value: float) -> None:
        with self._writer.as_default():
            self._write(self._tag, np.float32(value), step=step, metadata=self._kind)
        self._writer.flush()


class Hypertune:
    """The file of cloudml-hypertune: its last 100 entries, written anew with each; all but the time is text."""

    def __init__(self, tag: str) -> None:
        self._path = os.environ.get("CLOUD_ML_HP_METRIC_FILE", "/tmp/hypertune/output.metrics")
        self._trial = os.environ.get("CLOUD_ML_TRIAL_ID", "0")
        self._tag = tag
        self._entries: list[str] = []
        os.makedirs(os.path.dirname(self._path), exist_ok=True)

    def __call__(self, step: int, value: float) -> None:
        entry = {
            "timestamp": time.time(),
            "trial": self._trial,
            self._tag: str(float(value)),
            "global_step": str(step),
        }
        self._entries = [*self._entries, json.dumps(entry, sort_keys=True) + "\n"][-100:]
        with open(self._path, "w", encoding="utf-8") as file:
            file.writelines(self._entries)
