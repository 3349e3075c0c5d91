"""Train a package as a Beam pipeline.

    python pipelines/train.py --job=job.json --runner=FlinkRunner --flink_master=host:8081 …

`--job` is a Job resource with trainingInput; every flag that is not named here is Beam's. Prints the TrainingOutput
as JSON when the job has ended. Without `--runner` the job runs in this process, by Beam's in-process runner.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

# Run as a script from a checkout, Python finds the folder of this file but not the package beside it.
if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from batchpredict.errors import InvalidJob, WrongCall
from batchpredict.launch import Lines, carry, load_job, refuse, silence_logs, stopped_early, training_work
from batchpredict.runners import DIRECT, choose, take_runner

_PROGRAM = "train.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline and wait for it. Exit status: 0 succeeded, 1 failed, 2 wrong call, 130 or 143 stopped."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Train a package on a cluster of replicas.", epilog="All other flags go to Beam."
    )
    parser.allow_abbrev = False
    parser.add_argument("--job", required=True, metavar="FILE", help="a Job resource with trainingInput, as JSON")
    parser.add_argument("--fresh", action="store_true", help="train again, whatever earlier runs have finished")
    options, beam_flags = parser.parse_known_args(arguments)
    silence_logs()
    try:
        work = training_work(load_job(options.job), fresh=options.fresh)
        runner = choose(*take_runner(beam_flags, DIRECT))
        runner.check()
    except (InvalidJob, WrongCall) as error:
        return refuse(_PROGRAM, error)
    except KeyboardInterrupt:
        return stopped_early(_PROGRAM)
    return carry(_PROGRAM, runner, work, Lines(_PROGRAM))


if __name__ == "__main__":
    sys.exit(main())
