"""`batchpredict predict`: one job, here and now."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from functools import partial

from batchpredict.cli.document import read_job
from batchpredict.cli.fields import in_flags
from batchpredict.cli.observers import PredictionGauge
from batchpredict.cli.observers import choose as choose_observer
from batchpredict.errors import InvalidJob, WrongCall
from batchpredict.job import PredictionOutput
from batchpredict.launch import carry, prediction_work, refuse, silence_logs

_PROGRAM = "batchpredict predict"

# Of the errors of a job of which none was scored: the records fail for one reason, so the first tell it.
_FIRST_BYTES = 1 << 16
_LONGEST = 300


def predict(options: argparse.Namespace) -> int:
    """Run the job that the options describe; returns the exit status."""
    silence_logs()
    try:
        job = read_job(options, over_errors=True)
        workers = None
        if options.max_worker_count is not None and job.prediction_input is not None:
            # A job's maxWorkerCount is a ceiling; the flag says how many this machine shall start.
            workers = job.prediction_input.max_worker_count
        work = prediction_work(
            job,
            workers=workers,
            overwrite=options.overwrite,
            fresh=options.fresh,
            only_errors_of=options.only_errors_of or "",
            merge=options.merge,
        )
        from batchpredict.runners import choose

        runner = choose(options.runner, options.beam_flags)
        runner.check()
    except (WrongCall, InvalidJob) as error:
        return refuse(_PROGRAM, error)
    reporter = choose_observer(PredictionGauge(), quiet=options.quiet, json_logs=options.json_logs)
    return carry(
        _PROGRAM,
        runner,
        work,
        reporter,
        worded=lambda message: in_flags(message, options),
        remark=partial(_remark, former=options.only_errors_of),
    )


def _remark(output: PredictionOutput, former: str | None = None) -> str:
    if former is not None and not (output.prediction_count or output.error_count):
        return f"no record has failed in '{former}': there was nothing to score"
    return failed_records(output)


def failed_records(output: PredictionOutput) -> str:
    """What there is to say of records that failed, and by what; "" if none did."""
    if not output.error_count:
        return ""
    records = (output.prediction_count or 0) + output.error_count
    where = f"see {output.output_path}/prediction.errors-*"
    if output.prediction_count:
        return f"{output.error_count:,} of {records:,} records failed; {where}"
    reason = _frequent_message(output.output_path or "")
    why = f", most often by: {reason}" if reason else ""
    return f"NO record could be scored: all {records:,} failed{why}; {where}"


def _frequent_message(output_path: str) -> str:
    """The most frequent message among the first errors of a job; "" if it is not at hand."""
    from batchpredict import storage

    try:
        names = [name for name in storage.list_names(output_path) if name.startswith("prediction.errors-")]
        url = storage.join(output_path, names[0])
        lines = storage.read_range(url, 0, min(_FIRST_BYTES, storage.size_of(url))).split(b"\n")[:-1]
        messages = Counter(str(json.loads(line)["message"]) for line in lines)
        return " ".join(messages.most_common(1)[0][0].split())[:_LONGEST]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
