"""Score files with a SavedModel as a Beam pipeline.

    python pipelines/predict.py --job=job.json --runner=FlinkRunner --flink_master=host:8081 …

`--job` is a Job resource with predictionInput; every flag that is not named here is Beam's. Prints the
PredictionOutput as JSON when the job has ended. Without `--runner` the job runs in this process, by Beam's
in-process runner.
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
from batchpredict.launch import Lines, carry, load_job, prediction_work, refuse, silence_logs, stopped_early
from batchpredict.runners import DIRECT, choose, take_runner

_PROGRAM = "predict.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline and wait for it. Exit status: 0 succeeded, 1 failed, 2 wrong call, 130 or 143 stopped."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description="Score files with a SavedModel.", epilog="All other flags go to Beam."
    )
    parser.allow_abbrev = False
    parser.add_argument("--job", required=True, metavar="FILE", help="a Job resource with predictionInput, as JSON")
    parser.add_argument("--fresh", action="store_true", help="score everything again, whatever is committed")
    parser.add_argument(
        "--overwrite",
        # A Flex template gives every parameter a value.
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="replace another job's results in the output",
    )
    options, beam_flags = parser.parse_known_args(arguments)
    silence_logs()
    try:
        job = load_job(options.job)
        work = prediction_work(job, overwrite=options.overwrite == "true", fresh=options.fresh)
        runner = choose(*take_runner(beam_flags, DIRECT))
        runner.check()
    except (InvalidJob, WrongCall) as error:
        return refuse(_PROGRAM, error)
    except KeyboardInterrupt:
        return stopped_early(_PROGRAM)
    return carry(_PROGRAM, runner, work, Lines(_PROGRAM))


if __name__ == "__main__":
    sys.exit(main())
