"""Which flag is which field of a prediction job: from flags to a document, and from a field back to its flag."""

from __future__ import annotations

import argparse
from typing import Any

from batchpredict.errors import Violation

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
# Flags of what the service runs only.
_SUBMITTED = {"model": "modelName", "version": "versionName", "labels": "labels", "webhook": "webhook"}
# Flags of a watch: fields beside its predictionInput.
_WATCHED = {
    "model_base": "newestVersion",
    "every": "every",
    "settle": "settle",
    "max_files": "maxFiles",
    "max_bytes": "maxBytes",
    "changed": "changed",
    "tries": "tries",
}
_MODEL = ("uri", "modelName", "versionName")
# Of a run, and no field of a job: as errors name them.
_RUN = {"only_errors_of": "onlyErrorsOf"}
_DEFAULT_REGION = "local"
_A_MODEL = "--model or --model-dir"
_NO_MODEL = "--model-dir: This field is required."


def override(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any] | None:
    """Put the flags into a Job document, over what it says of itself; its predictionInput, if that is an object."""
    if "trainingInput" in document or "training_input" in document:
        return None
    source = _part(document, "predictionInput")
    if not isinstance(source, dict):
        return None
    if options.model_dir is not None:
        name_model(source)
    for destination, field in _FIELDS.items():
        put(source, field, getattr(options, destination))
    if any(getattr(options, destination) is not None for destination in _CONFIG):
        config = _part(source, "instanceConfig")
        for destination, field in _CONFIG.items():
            put(config, field, getattr(options, destination))
    if "region" not in source:
        source["region"] = _DEFAULT_REGION
    return source


def name_model(source: dict[str, Any], field: str | None = None, value: str | None = None) -> None:
    """Name the model of a predictionInput in one of the three ways, and in no other."""
    for name in _MODEL:
        source.pop(name, None)
        source.pop(snake(name), None)
    if field is not None:
        source[field] = value


def put(message: dict[str, Any], field: str, value: Any) -> None:
    """Set a field, whichever spelling the message has it in; nothing if the value is None."""
    if value is not None:
        message.pop(snake(field), None)
        message[field] = value


def spelling(message: dict[str, Any], field: str) -> str:
    """The name that a message has a field under: in camelCase or in snake_case."""
    return snake(field) if snake(field) in message else field


def in_flags(message: str, options: argparse.Namespace) -> str:
    """A message that begins with the name of a field, with that of the flag that set it."""
    field, colon, rest = message.partition(": ")
    destination = next((name for name, known in {**_FIELDS, **_RUN}.items() if known == field), None)
    if destination is None or getattr(options, destination, None) is None:
        return message
    return f"--{destination.replace('_', '-')}{colon}{rest}"


def located(violation: Violation, options: argparse.Namespace) -> str:
    """A violation with the flag that set the field, or that could set it, or the place in the job file."""
    last = violation.field.rpartition(".")[2].partition("[")[0]
    flags = {**_FIELDS, **_CONFIG, **_SUBMITTED, **_WATCHED, **_RUN}
    destination = next(
        (name for name, field in flags.items() if snake(field) == last and hasattr(options, name)), None
    )
    if destination == "model_dir" and getattr(options, "model_base", None) is not None:
        destination = "model_base"
    if destination is not None and (not options.job or getattr(options, destination) is not None):
        return f"--{destination.replace('_', '-')}: {violation.description}"
    if not options.job and last == "prediction_input":
        # The union of model_name, version_name and uri.
        if not hasattr(options, "model"):
            return _NO_MODEL
        flags_of_models = "--model, --model-dir or --model-base" if hasattr(options, "model_base") else _A_MODEL
        return f"{flags_of_models}: a job needs a model."
    return f"{options.job}: {violation}" if options.job else str(violation)


def _part(document: dict[str, Any], field: str) -> Any:
    """A message within a message, made if it is not there, whichever spelling it has."""
    return document.setdefault(spelling(document, field), {})


def snake(field: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
