"""`batchpredict train`: one training job, here and now."""

from __future__ import annotations

import argparse
import contextlib
import time
from typing import Any

from batchpredict.cli.fields import put
from batchpredict.cli.observers import TrainingGauge
from batchpredict.cli.observers import choose as choose_observer
from batchpredict.cli.training_fields import located, override, packed, read_documents
from batchpredict.errors import InvalidJob, WrongCall
from batchpredict.job import Job, TrainingOutput
from batchpredict.launch import carry, refuse, silence_logs, training_work

_PROGRAM = "batchpredict train"


def train(options: argparse.Namespace) -> int:
    """Run the job that the options describe; returns the exit status."""
    silence_logs()
    with contextlib.ExitStack() as opened:
        try:
            document = read_documents(options)
            job = _job(document, options, opened.enter_context(packed(document, options)))
            work = training_work(job, fresh=options.fresh)
            from batchpredict.runners import choose

            runner = choose(options.runner, options.beam_flags)
            runner.check()
        except InvalidJob as error:
            return refuse(_PROGRAM, WrongCall("\n".join(located(one, options) for one in error.violations)))
        except WrongCall as error:
            return refuse(_PROGRAM, error)
        reporter = choose_observer(TrainingGauge(), quiet=options.quiet, json_logs=options.json_logs)
        return carry(_PROGRAM, runner, work, reporter, remark=_best)


def _job(document: dict[str, Any], options: argparse.Namespace, packages: list[str]) -> Job:
    """Raises InvalidJob, WrongCall."""
    if not {"jobId", "job_id"} & document.keys():
        document["jobId"] = time.strftime("train_%Y%m%d_%H%M%S")
    source = override(document, options)
    if packages:
        put(source, "packageUris", packages)
    return Job.submitted(document)


def _best(output: TrainingOutput) -> str:
    """What is worth knowing of a search."""
    if not output.is_hyperparameter_tuning_job:
        return ""
    best: Any = next((trial for trial in output.trials if trial.final_metric is not None), None)
    if best is None:
        return "no trial reported a value of its objective"
    values = ", ".join(f"{name}={value}" for name, value in (best.hyperparameters or {}).items())
    return f"best: trial {best.trial_id}, {best.final_metric.objective_value:.6g} with {values}"
