"""One prediction job on whatever runner Beam's flags name. Beam is imported when it is needed."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

from batchpredict.errors import BatchPredictError, JobFailed
from batchpredict.job import PredictionOutput
from batchpredict.prediction.publish import finished_output
from batchpredict.prediction.session import Request, prepare, publish_job

# Names under which Beam knows an engine inside this process; here they all mean the FnApiRunner, without the
# download that Beam's DirectRunner begins with.
_DIRECT = ("DirectRunner", "FnApiRunner", "InProcessRunner")


class UnknownFlag(BatchPredictError):
    """A flag that no option of Beam has; Beam itself would pass over it in silence."""


def runner_of(flags: Sequence[str]) -> str:
    """The runner that Beam's flags name; DirectRunner if they name none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner", default=_DIRECT[0])
    return str(parser.parse_known_args(list(flags))[0].runner)


def is_direct(flags: Sequence[str]) -> bool:
    return runner_of(flags).rpartition(".")[2] in _DIRECT


def check_flags(flags: Sequence[str]) -> None:
    """Refuse a mistyped flag where the job runs in this process.

    Other runners have flags that only their job service knows.

    Raises:
      UnknownFlag: names the flag and what it may have been.
    """
    if not flags:
        return
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    if not is_direct(flags):
        name = runner_of(flags)
        known_runners = StandardOptions.KNOWN_RUNNER_NAMES
        if "." not in name and name.lower() not in {runner.lower() for runner in known_runners}:
            close = difflib.get_close_matches(name, known_runners, n=1, cutoff=0.6)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise UnknownFlag(f"--runner: Beam has no runner '{name}'{hint}")
        return

    # Beam has no public list of its flags; this is how PipelineOptions itself reads them.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        wrong = unknown[0].partition("=")[0]
        known = [flag for action in parser._actions for flag in action.option_strings]
        close = difflib.get_close_matches(wrong, [*known, "--job", "--fresh", "--overwrite"], n=1, cutoff=0.6)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UnknownFlag(f"there is no flag '{wrong}', here or in Beam{hint}")


def run(request: Request, *, beam_flags: Sequence[str]) -> PredictionOutput:
    """Submit a job to a runner and wait for its end.

    Raises:
      JobFailed: the job failed, or its runner did.
    """
    prepared = prepare(request)
    if prepared.done is not None:
        return prepared.done
    if not prepared.todo():
        return publish_job(request, prepared.plan, prepared.staging)
    state = _run_pipeline(prepared.submitted(), beam_flags)
    output = finished_output(prepared.staging)
    if output is None:
        raise JobFailed(f"The pipeline ended in state {state} without publishing the results.")
    return output


def _run_pipeline(request: Request, flags: Sequence[str]) -> Any:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from batchpredict.prediction.transforms import BatchPredict

    pipeline = beam.Pipeline(options=PipelineOptions(list(flags)))
    _ = pipeline | BatchPredict(request)
    try:
        result = pipeline.run()
        try:
            return result.wait_until_finish()
        except KeyboardInterrupt:
            result.cancel()
            raise
    except BatchPredictError:
        raise
    except Exception as error:
        raise JobFailed(f"The pipeline failed on {runner_of(flags)}: {error}") from error
