"""A trainer that computes nothing: it counts to a number, saves every step, and does what its arguments say.

It appends what it saw to files below its directory, for the tests to read:

    runs.jsonl    a line for each start of a replica: TF_CONFIG, arguments, process, and the step it goes on from
"""

import argparse
import json
import os
import signal
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-dir", default=".")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--x", type=float, default=0.0)
    parser.add_argument("--kind", default="")
    parser.add_argument("--units", type=int, default=0)
    parser.add_argument("--metric", default="loss")
    parser.add_argument("--exit", type=int, default=0)
    parser.add_argument("--raise", dest="message", default="")
    parser.add_argument("--fail-below", type=float, default=-1.0)
    parser.add_argument("--die-once", metavar="TASK", default="", help="that kills itself half way, the first time")
    asked = parser.parse_args()
    os.makedirs(asked.job_dir, exist_ok=True)
    config = json.loads(os.environ.get("TF_CONFIG", '{"task": {"type": "master", "index": 0}}'))
    task = "{type}-{index}".format(**config["task"])
    saved = os.path.join(asked.job_dir, f"saved-{task}")
    step = 0
    if os.path.exists(saved):
        with open(saved) as file:
            step = int(file.read())
    with open(os.path.join(asked.job_dir, "runs.jsonl"), "a") as file:
        seen = {"config": config, "arguments": sys.argv[1:], "pid": os.getpid(), "step": step, "cwd": os.getcwd()}
        seen["devices"] = os.environ.get("CUDA_VISIBLE_DEVICES")
        file.write(json.dumps(seen) + "\n")
    print(f"{task} goes on from {step}")
    if config["task"]["type"] == "ps":
        signal.pause()
    while step < asked.steps:
        time.sleep(asked.pause)
        step += 1
        with open(f"{saved}.new", "w") as file:
            file.write(str(step))
        os.replace(f"{saved}.new", saved)
        once = os.path.join(asked.job_dir, "died")
        if asked.die_once == task and step * 2 >= asked.steps and not os.path.exists(once):
            open(once, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    if asked.message:
        raise ValueError(asked.message)
    if asked.x < asked.fail_below:
        sys.exit("x is too small")
    if (path := os.environ.get("CLOUD_ML_HP_METRIC_FILE")) and asked.metric:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        trial = os.environ["CLOUD_ML_TRIAL_ID"]
        line = {"timestamp": time.time(), "trial": trial, asked.metric: str(asked.x**2), "global_step": str(step)}
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")
    sys.exit(asked.exit)


if __name__ == "__main__":
    main()
