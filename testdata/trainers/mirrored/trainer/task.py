"""A loop of one's own under MultiWorkerMirroredStrategy, as Keras 3 has no `fit` for it.

    python -m trainer.task --job-dir DIR

The cluster is what TF_CONFIG says; without it, this process. Every worker computes the gradients of its share of a
batch, and all apply the same sum. If one dies the others cannot go on: all are started again, and go on from the
last checkpoint in the job's directory.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time

import keras
import tensorflow as tf

from . import data, model


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job-dir", help="where checkpoints and the exported model go")
    parser.add_argument("--data", help="folder with the digits; default: patterns that are made up")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64, help="rows of a step, of all workers together")
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--checkpoint-steps", type=int, default=50)
    parser.add_argument("--step-seconds", type=float, default=0.0, help="at least so long a step")
    return parser.parse_args()


def main() -> None:
    args = parse()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = config.get("task", {})
    who = f"{task.get('type', 'local')} {task.get('index', 0)}"
    if task.get("type") in ("ps", "evaluator"):
        print(f"{who}: MultiWorkerMirroredStrategy has no use for it")
        return
    print(f"{who} of {json.dumps(config.get('cluster', {}), sort_keys=True)}")

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    is_chief = task.get("type", "chief") in ("chief", "master")
    pixels, digits = (tf.constant(part) for part in data.load(args.data))
    with strategy.scope():
        network = model.make()
        optimizer = keras.optimizers.Adam(args.learning_rate)
        optimizer.build(network.trainable_variables)
        done = tf.Variable(0, dtype=tf.int64, trainable=False)

    def replica_step(step):
        # Which rows follows from the step, so that a run that was interrupted sees those that it would have seen.
        index = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        count = args.batch_size // strategy.num_replicas_in_sync
        rows = tf.random.stateless_uniform([count], tf.stack([step, index]), 0, len(pixels), tf.int32)
        with tf.GradientTape() as tape:
            logits = network(tf.gather(pixels, rows), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(digits, rows), logits)
            loss = tf.reduce_mean(losses) / strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    @tf.function
    def train_step(step):
        loss = strategy.reduce("SUM", strategy.run(replica_step, args=(step,)), axis=None)
        done.assign(step + 1)
        return loss

    checkpoint = tf.train.Checkpoint(model=network, optimizer=optimizer, done=done)
    # All take part in a checkpoint, and one keeps it.
    folder = f"{args.job_dir}/checkpoints" if is_chief and args.job_dir else tempfile.mkdtemp()
    manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2)
    last = tf.train.latest_checkpoint(f"{args.job_dir}/checkpoints") if args.job_dir else None
    if last:
        checkpoint.restore(last).expect_partial()
        print(f"{who}: goes on after step {int(done.numpy())}", flush=True)

    for step in range(int(done.numpy()), args.steps):
        began = time.monotonic()
        loss = train_step(tf.constant(step, tf.int64))
        if (step + 1) % args.checkpoint_steps == 0 or step + 1 == args.steps:
            manager.save(checkpoint_number=step + 1)
            print(f"{who}: step {step + 1} loss {float(loss):.4f}", flush=True)
        time.sleep(max(began + args.step_seconds - time.monotonic(), 0.0))

    if is_chief and args.job_dir:
        model.export(network, f"{args.job_dir}/export")
    print(f"{who}: done after step {int(done.numpy())}", flush=True)


if __name__ == "__main__":
    main()
