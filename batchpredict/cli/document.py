"""From flags and a job file to a Job, and from a field that is wrong back to where its value came from."""

from __future__ import annotations

import argparse
import time
from typing import Any

from batchpredict.errors import InvalidJob, Violation, WrongCall
from batchpredict.job import Job
from batchpredict.launch import read_document

# flag's destination -> field of predictionInput, in both of its spellings
_FIELDS = {
    "model_dir": "uri",
    "input_paths": "inputPaths",
    "data_format": "dataFormat",
    "output_path": "outputPath",
    "output_data_format": "outputDataFormat",
    "batch_size": "batchSize",
    "max_worker_count": "maxWorkerCount",
    "signature_name": "signatureName",
    "runtime_version": "runtimeVersion",
    "region": "region",
    "max_errors": "maxErrors",
    "max_record_bytes": "maxRecordBytes",
    "split_bytes": "splitBytes",
}
_CONFIG = {"key_field": "keyField", "include_fields": "includedFields", "exclude_fields": "excludedFields"}
_DEFAULT_REGION = "local"


def read_job(options: argparse.Namespace) -> Job:
    """The job that a command line describes.

    Raises:
      WrongCall: the job file cannot be read, or a field is wrong; says which flag or field.
    """
    document = read_document(options.job) if options.job else {}
    _override(document, options)
    try:
        return Job.submitted(document)
    except InvalidJob as error:
        messages = [_located(violation, options) for violation in error.violations]
        raise WrongCall("\n".join(messages)) from error


def _override(document: dict[str, Any], options: argparse.Namespace) -> None:
    if "jobId" not in document and "job_id" not in document:
        document["jobId"] = time.strftime("predict_%Y%m%d_%H%M%S")
    if "trainingInput" in document or "training_input" in document:
        return
    source = _part(document, "predictionInput")
    if not isinstance(source, dict):
        return
    if options.model_dir is not None:
        for name in ("modelName", "model_name", "versionName", "version_name"):
            source.pop(name, None)
    for destination, field in _FIELDS.items():
        _set(source, field, getattr(options, destination))
    if any(getattr(options, destination) is not None for destination in _CONFIG):
        config = _part(source, "instanceConfig")
        for destination, field in _CONFIG.items():
            _set(config, field, getattr(options, destination))
    if "region" not in source:
        source["region"] = _DEFAULT_REGION


def _part(document: dict[str, Any], field: str) -> Any:
    """A message within a message, made if it is not there, whichever spelling it has."""
    name = _snake(field) if _snake(field) in document else field
    return document.setdefault(name, {})


def _set(message: dict[str, Any], field: str, value: Any) -> None:
    if value is not None:
        message.pop(_snake(field), None)
        message[field] = value


def _snake(field: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)


def in_flags(message: str, options: argparse.Namespace) -> str:
    """A message that begins with the name of a field, with that of the flag that set it."""
    field, colon, rest = message.partition(": ")
    destination = next((name for name, known in _FIELDS.items() if known == field), None)
    if destination is None or getattr(options, destination, None) is None:
        return message
    return f"--{destination.replace('_', '-')}{colon}{rest}"


def _located(violation: Violation, options: argparse.Namespace) -> str:
    """A violation with the flag that set the field, or that could set it, or the place in the job file."""
    last = violation.field.rpartition(".")[2].partition("[")[0]
    destination = next((name for name, field in {**_FIELDS, **_CONFIG}.items() if _snake(field) == last), None)
    if destination is not None and (not options.job or getattr(options, destination) is not None):
        return f"--{destination.replace('_', '-')}: {violation.description}"
    if not options.job and last == "prediction_input":
        # The union of model_name, version_name and uri, of which only uri has a flag.
        return "--model-dir: This field is required."
    return f"{options.job}: {violation}" if options.job else str(violation)
