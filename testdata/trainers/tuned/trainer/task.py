"""Trains a small network with the parameters that it is given, and reports its accuracy after each epoch.

    python -m trainer.task --job-dir DIR --learning-rate=0.1 --units=32

Made for tuning: `learning-rate` (DOUBLE, logarithmic, best between 0.01 and 0.1), `units` (INTEGER), `batch-size`
(DISCRETE) and `activation` (CATEGORICAL). Names with underscores are taken as well.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np

from . import data
from .network import ACTIVATIONS, Network
from .report import Hypertune, Report, Summaries

DEFAULT_TAG = "training/hptuning/metric"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job-dir", help="where summaries and the weights go")
    parser.add_argument("--data", help="folder with the digits; default: patterns that are made up")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--epoch-seconds", type=float, default=0.0, help="at least so long an epoch")
    parser.add_argument("--learning-rate", "--learning_rate", type=float, default=0.05)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--batch-size", "--batch_size", type=float, default=32)
    parser.add_argument("--activation", choices=ACTIVATIONS, default="relu")
    parser.add_argument("--report", choices=("summary", "hypertune", "none"), default="summary")
    parser.add_argument("--metric-tag", default=DEFAULT_TAG)
    return parser.parse_args()


def main() -> None:
    args = parse()
    task = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {})
    print(f"trial {task.get('trial', 'none')}: {vars(args)}", flush=True)
    report = reporter(args)

    pixels, digits = data.load(args.data)
    held_out = np.arange(len(pixels)) % 3 == 0
    known, answers = pixels[~held_out], digits[~held_out]
    network = Network(args.units, args.activation)
    order = np.random.default_rng(17)
    for epoch in range(1, args.epochs + 1):
        began = time.monotonic()
        for rows in np.array_split(order.permutation(len(known)), max(len(known) // int(args.batch_size), 1)):
            network.train(known[rows], answers[rows], args.learning_rate)
        accuracy = network.accuracy(pixels[held_out], digits[held_out])
        time.sleep(max(began + args.epoch_seconds - time.monotonic(), 0.0))
        print(f"epoch {epoch} accuracy {accuracy:.4f}", flush=True)
        if report is not None:
            report(epoch, accuracy)


def reporter(args: argparse.Namespace) -> Report | None:
    if args.report == "hypertune":
        return Hypertune(args.metric_tag)
    if args.report == "summary" and args.job_dir:
        return Summaries(args.job_dir, args.metric_tag)
    return None


if __name__ == "__main__":
    main()
