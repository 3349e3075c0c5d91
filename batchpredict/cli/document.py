"""From flags and a job file to a Job that is run here."""

from __future__ import annotations

import argparse
import time

from batchpredict.cli.fields import located, override
from batchpredict.errors import InvalidJob, WrongCall
from batchpredict.job import Job
from batchpredict.launch import read_document


def read_job(options: argparse.Namespace) -> Job:
    """The job that a command line describes.

    Raises:
      WrongCall: the job file cannot be read, or a field is wrong; says which flag or field.
    """
    document = read_document(options.job) if options.job else {}
    if "jobId" not in document and "job_id" not in document:
        document["jobId"] = time.strftime("predict_%Y%m%d_%H%M%S")
    override(document, options)
    try:
        return Job.submitted(document)
    except InvalidJob as error:
        messages = [located(violation, options) for violation in error.violations]
        if len(messages) > 1 and not options.job:
            messages.append(f"See batchpredict {options.command} --help.")
        raise WrongCall("\n".join(messages)) from error
