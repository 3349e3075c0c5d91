"""From flags and a job file to a Job that is run here."""

from __future__ import annotations

import argparse
import time
from typing import Any

from batchpredict.cli.fields import in_flags, located, override
from batchpredict.errors import InvalidJob, NoInput, WrongCall
from batchpredict.job import Job
from batchpredict.launch import read_document


def read_job(options: argparse.Namespace, *, over_errors: bool = False) -> Job:
    """The job that a command line describes.

    Args:
      over_errors: whether the command has the flags of a job over the errors of another one.

    Raises:
      WrongCall: the job file cannot be read, or a field is wrong; says which flag or field.
    """
    document = read_document(options.job) if options.job else {}
    if "jobId" not in document and "job_id" not in document:
        document["jobId"] = time.strftime("predict_%Y%m%d_%H%M%S")
    override(document, options)
    try:
        if over_errors and options.only_errors_of is not None:
            document = _over_errors(document, options)
        elif over_errors and options.merge:
            raise WrongCall("--merge: only results of records that had failed are merged; name --only-errors-of.")
        return Job.submitted(document)
    except InvalidJob as error:
        messages = [located(violation, options) for violation in error.violations]
        if len(messages) > 1 and not options.job:
            messages.append(f"See batchpredict {options.command} --help.")
        raise WrongCall("\n".join(messages)) from error


def _over_errors(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The job over the records of another one that failed; what no flag says is as it was there.

    Raises:
      WrongCall: there is no such finished job, or a flag says what cannot be said of its records.
      InvalidJob: a flag is missing, or says what that job says.
    """
    from batchpredict.rescoring import FinishedJob, complete

    for name, given in (("job", options.job), ("input-paths", options.input_paths)):
        if given is not None:
            raise WrongCall(f"--{name}: --only-errors-of says which records are scored; give one of the two.")
    source = document["predictionInput"]
    if options.region is None:
        # A default, which must not hide what that job had.
        source.pop("region")
    try:
        return complete(document, FinishedJob.at(options.only_errors_of))
    except NoInput as error:
        raise WrongCall(in_flags(str(error), options)) from error
