"""The Job resource of a job over errors: what its user says, and for the rest what the finished job was told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from batchpredict import storage
from batchpredict.errors import InvalidJob, Violation
from batchpredict.formats import INPUT_FORMATS
from batchpredict.job import InstanceConfig, Job, PredictionInput
from batchpredict.ledger import PredictionSpec
from batchpredict.rescoring.finished_job import FinishedJob

_MODELS = ("uri", "model_name", "version_name")
# What says where the records are cannot be said anew.
_FIXED = ("input_paths", "data_format")


def complete(document: Mapping[str, Any], job: FinishedJob) -> dict[str, Any]:
    """A Job resource as JSON, with what it does not say taken from the finished job.

    How many errors are allowed is not taken: a budget is one of all records, and these are those that failed.

    Raises:
      InvalidJob: it names other inputs than those of the finished job or another format, or cuts them; or that job
        is of a version that did not keep what it was told, and something that is needed is not said.
    """
    completed = _in_snake_case(document, Job)
    completed.setdefault("job_id", time.strftime("predict_%Y%m%d_%H%M%S"))
    source = _in_snake_case(completed.get("prediction_input") or {}, PredictionInput)
    violations = [*_overridden(source, job), *_missing(source, job)]
    if violations:
        raise InvalidJob(violations)
    known = _known(job)
    if any(name in source for name in _MODELS):
        known.pop("uri", None)
    config = _in_snake_case(source.get("instance_config") or {}, InstanceConfig)
    known["instance_config"] = {**known.get("instance_config", {}), **config}
    completed["prediction_input"] = {**known, **source, "instance_config": known["instance_config"]}
    return completed


def _known(job: FinishedJob) -> dict[str, Any]:
    if job.spec is not None:
        return _fields(job.spec)
    return {"input_paths": [_first_input(job)], "output_data_format": job.output_format(), "region": "local"}


def _in_snake_case(
    message: Mapping[str, Any], kind: type[Job | PredictionInput | InstanceConfig]
) -> dict[str, Any]:
    known = kind.spellings()
    return {known.get(name, name): value for name, value in message.items()}


def _fields(spec: PredictionSpec) -> dict[str, Any]:
    """A spec as the predictionInput that it was resolved from, less what is another job's business."""
    config = {
        "key_field": spec.key_field,
        "included_fields": list(spec.included_fields),
        "excluded_fields": list(spec.excluded_fields),
    }
    fields = {
        "uri": spec.model_uri,
        "input_paths": list(spec.inputs),
        "data_format": spec.data_format,
        "output_data_format": spec.output_format,
        "signature_name": spec.signature_name,
        "batch_size": spec.batch_size,
        "max_worker_count": spec.max_workers,
        "instance_config": {name: value for name, value in config.items() if value},
        "max_record_bytes": spec.max_record_bytes,
        "region": spec.region,
        "worker_type": spec.worker_type,
        "accelerator": {"type": spec.accelerator, "count": spec.accelerator_count} if spec.accelerator else None,
    }
    return {name: value for name, value in fields.items() if value}


def _overridden(source: Mapping[str, Any], job: FinishedJob) -> Iterator[Violation]:
    known = {} if job.spec is None else _fields(job.spec)
    for name in _FIXED:
        given = source.get(name)
        if given is None or (job.spec is None and name == "data_format"):
            continue
        if name == "input_paths" and isinstance(given, list | tuple):
            given = [storage.absolute(str(path)) for path in given]
        if name == "data_format":
            # JSON is another name of TEXT.
            given = next((one.name for one in INPUT_FORMATS if given in one.names), given)
        if given != known.get(name):
            text = f"The records that are scored again are those of '{job.path}', which says where they are."
            yield Violation(f"prediction_input.{name}", text)
    if source.get("split_bytes") is not None:
        yield Violation("prediction_input.split_bytes", "What failed is not cut by bytes; leave this out.")


def _missing(source: Mapping[str, Any], job: FinishedJob) -> Iterator[Violation]:
    """What has to be said of a job that was run by a version that did not keep it."""
    if job.spec is not None:
        return
    told = (
        f"Required: '{job.path}' is of a version that did not keep what its job was told. Give what it had; fields "
        "that go past the model, too, if it had some."
    )
    if source.get("data_format") is None:
        yield Violation("prediction_input.data_format", told)
    if all(source.get(name) is None for name in _MODELS):
        yield Violation("prediction_input.uri", told)


def _first_input(job: FinishedJob) -> str:
    """Stands for all inputs where only the manifests know them."""
    manifest = next(job.staging.read_all((number, None) for number in range(job.splits)), None)
    return manifest.segments[0].path if manifest and manifest.segments else job.path
