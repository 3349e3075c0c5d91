"""Job files: a Job resource as JSON, at any URL or on standard input."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from batchpredict.errors import InvalidJob, WrongCall
from batchpredict.job import Job, PredictionInput, TrainingInput, load

STDIN = "-"


def read_document(url: str) -> dict[str, Any]:
    """The JSON object in a job file; what it says is not checked yet.

    Args:
      url: of the file; "-" for standard input.

    Raises:
      WrongCall: it cannot be read, or is not the JSON text of an object.
    """
    try:
        data = _contents(url)
    except FileNotFoundError as error:
        raise WrongCall(f"--job: there is no file '{url}'") from error
    except (OSError, ValueError, ImportError) as error:
        raise WrongCall(f"--job: '{url}' cannot be read: {error}") from error
    try:
        document = load(data)
    except InvalidJob as error:
        raise WrongCall(f"--job: '{url}' is not a Job: {error}") from error
    _refuse_input_alone(url, document)
    return document


def load_job(url: str) -> Job:
    """The job in a job file.

    Raises:
      WrongCall: it cannot be read, or breaks the specification; names the file and every field that is wrong.
    """
    try:
        return Job.submitted(read_document(url))
    except InvalidJob as error:
        raise WrongCall("\n".join(f"{url}: {violation}" for violation in error.violations)) from error


def _refuse_input_alone(url: str, document: Mapping[str, Any]) -> None:
    """Say once what each of its fields would be blamed for: the inner message stands in the place of the job.

    Raises:
      WrongCall: every field is one of a predictionInput or trainingInput, and none is a Job's.
    """
    if not document or not document.keys().isdisjoint(Job.spellings()):
        return
    for name, message in (("predictionInput", PredictionInput), ("trainingInput", TrainingInput)):
        if document.keys() <= message.spellings().keys():
            raise WrongCall(
                f"--job: '{url}' holds the fields of a {name} by themselves; "
                f'a Job has them in that field: {{"jobId": "…", "{name}": {{…}}}}'
            )


def _contents(url: str) -> bytes:
    if url == STDIN:
        return sys.stdin.buffer.read()
    from batchpredict import storage

    return storage.read_bytes(url)
