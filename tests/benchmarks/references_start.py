"""The least that a job of one batch can cost: a process that starts another, which imports TensorFlow, loads the
model and calls it once."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from measure import command


def main() -> None:
    """Start a child and wait for it, as a job waits for its worker; or be the child."""
    order = json.loads(sys.argv[1])
    if not order.get("child"):
        child = subprocess.run(command("references_start", {**order, "child": True}), stdout=subprocess.PIPE)
        child.check_returncode()
        print(child.stdout.decode(), end="")
        return

    import tensorflow as tf

    model = tf.saved_model.load(order["model"])
    rows = np.zeros((order["records"], 16), np.float32)
    scores = model.signatures["dense"](x=tf.constant(rows))["scores"].numpy()
    print(json.dumps({"predictions": len(scores)}))
