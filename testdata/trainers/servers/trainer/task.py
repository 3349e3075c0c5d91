"""A loop of one's own under ParameterServerStrategy: the chief hands out steps, workers take them as they are free.

    python -m trainer.task --job-dir DIR

The cluster is what TF_CONFIG says; without one of workers and parameter servers, this process does all. A worker
that dies and is started again at its address takes steps again; the steps that it had taken go to others. A chief
that is started again goes on from the last checkpoint in the job's directory.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from . import data, model


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job-dir", help="where checkpoints and the exported model go")
    parser.add_argument("--data", help="folder with the digits; default: patterns that are made up")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64, help="rows of a step, which one worker takes")
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--checkpoint-steps", type=int, default=50)
    parser.add_argument("--step-seconds", type=float, default=0.0, help="at least so long a step")
    return parser.parse_args()


def main() -> None:
    args = parse()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    who = f"{task.get('type', 'local')} {task.get('index', 0)}"
    print(f"{who} of {json.dumps(cluster, sort_keys=True)}", flush=True)
    if task.get("type") == "evaluator":
        return
    if task.get("type") in ("worker", "ps"):
        serve(task["type"], task["index"])
    elif cluster.get("worker") and cluster.get("ps"):
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        strategy = tf.distribute.ParameterServerStrategy(resolver)
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        train(args, who, strategy, coordinator)
    else:
        train(args, who, tf.distribute.get_strategy(), None)


def serve(job: str, index: int) -> None:
    """Do what the chief says, until somebody ends this process."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    server = tf.distribute.Server(resolver.cluster_spec(), job_name=job, task_index=index, protocol="grpc")
    server.join()


def train(args: argparse.Namespace, who: str, strategy: Any, coordinator: Any) -> None:
    with strategy.scope():
        network = model.make()
        optimizer = keras.optimizers.Adam(args.learning_rate)
        optimizer.build(network.trainable_variables)
        done = tf.Variable(0, dtype=tf.int64, trainable=False)

    @tf.function
    def train_step(rows):
        def replica_step(pixels, digits):
            with tf.GradientTape() as tape:
                logits = network(pixels, training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(digits, logits))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            return loss

        return strategy.run(replica_step, args=next(rows))

    checkpoint = tf.train.Checkpoint(model=network, optimizer=optimizer, done=done)
    # The chief writes, and not each parameter server its part: they may not see the folder.
    options = tf.train.CheckpointOptions(experimental_io_device="/job:chief/device:CPU:0" if coordinator else None)
    folder = f"{args.job_dir}/checkpoints" if args.job_dir else None
    manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2) if folder else None
    if manager is not None and manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint, options=options).expect_partial()
        print(f"{who}: goes on after step {int(done.numpy())}", flush=True)

    take = stepper(train_step, batches(args), coordinator)
    start = int(done.numpy())
    while start < args.steps:
        end = min(start + args.checkpoint_steps, args.steps)
        loss = take(end - start, args.step_seconds)
        done.assign(end)
        if manager is not None:
            manager.save(checkpoint_number=end, options=options)
        print(f"{who}: step {end} loss {loss:.4f}", flush=True)
        start = end

    if args.job_dir:
        model.export(network, f"{args.job_dir}/export")
    print(f"{who}: done after step {int(done.numpy())}", flush=True)


def batches(args: argparse.Namespace) -> Callable[[], tf.data.Dataset]:
    """What each worker draws its batches from."""

    def make() -> tf.data.Dataset:
        rows = tf.data.Dataset.from_tensor_slices(data.load(args.data))
        return rows.shuffle(len(rows)).repeat().batch(args.batch_size).prefetch(2)

    return make


def stepper(step: Any, dataset: Callable[[], Any], coordinator: Any) -> Callable[[int, float], float]:
    """A function that takes a number of steps, each of at least some seconds, and gives the loss of the last."""
    if coordinator is None:
        rows = iter(dataset())
    else:
        rows = iter(coordinator.create_per_worker_dataset(dataset))

    def take(count: int, seconds: float) -> float:
        loss: Any = None
        for _ in range(count):
            began = time.monotonic()
            loss = step(rows) if coordinator is None else coordinator.schedule(step, args=(rows,))
            time.sleep(max(began + seconds - time.monotonic(), 0.0))
        if coordinator is None:
            return float(loss)
        coordinator.join()
        return float(loss.fetch())

    return take


if __name__ == "__main__":
    main()
