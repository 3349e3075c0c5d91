"""Score files with a SavedModel as a Beam pipeline.

    python pipelines/predict.py --job=job.json --runner=FlinkRunner --flink_master=host:8081 …

`--job` is a Job resource with predictionInput; every flag that is not named here is Beam's. Prints the
PredictionOutput as JSON when the job has ended. Without `--runner` the job runs in this process, by Beam's
in-process runner.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

# Run as a script from a checkout, Python finds the folder of this file but not the package beside it.
if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from batchpredict import storage
from batchpredict.errors import BatchPredictError, InvalidJob
from batchpredict.job import Job
from batchpredict.ledger.progress import Unobserved
from batchpredict.prediction.request import Request
from batchpredict.runners import DIRECT, choose
from batchpredict.runners.drive import run, silence_threads
from batchpredict.runners.flags import WrongFlag, take_runner


class _Terminated(BaseException):
    """SIGTERM, as an exception of the main thread."""


def _on_terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _Terminated


class _Told(Unobserved):
    """Passes on what the user has to know, and no progress."""

    def warning(self, message: str) -> None:
        print(f"predict.py: {message}", file=sys.stderr, flush=True)

    def message(self, text: str) -> None:
        self.warning(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline and wait for it. Exit status: 0 succeeded, 1 failed, 2 wrong call, 130 or 143 stopped."""
    parser = argparse.ArgumentParser(
        prog="predict.py", description="Score files with a SavedModel.", epilog="All other flags go to Beam."
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
    try:
        job = Job.submitted(storage.read_bytes(options.job))
        request = Request.of(job, overwrite=options.overwrite == "true", fresh=options.fresh)
        runner = choose(*take_runner(beam_flags, DIRECT))
        runner.check()
    except (OSError, InvalidJob, WrongFlag) as error:
        print(f"predict.py: {_reason(options.job, error)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _on_terminate)
    silence_threads()
    try:
        output = run(runner, request, _Told())
    except (KeyboardInterrupt, _Terminated) as stopped:
        print("predict.py: stopped; every committed split is kept.", file=sys.stderr, flush=True)
        os._exit(130 if isinstance(stopped, KeyboardInterrupt) else 143)
    except WrongFlag as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 2
    except BatchPredictError as error:
        print(f"predict.py: the job failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(output.to_wire(), indent=2))
    return 0


def _reason(job: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"--job: there is no file '{job}'"
    if isinstance(error, OSError):
        return f"--job: '{job}' cannot be read: {error}"
    return f"{job}: {error}" if isinstance(error, InvalidJob) else str(error)


if __name__ == "__main__":
    sys.exit(main())
