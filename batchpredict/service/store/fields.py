"""What filters see of a model, of a version, of a job: values by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchpredict.service.filters import Values
from batchpredict.service.store.interface import StoredJob, StoredModel, StoredVersion


def job_fields(job: StoredJob) -> Values:
    standing = job.standing
    return {
        "job_id": job.job_id,
        "state": standing.state.value,
        "create_time": job.created,
        "start_time": standing.start_time,
        "end_time": standing.end_time,
        "error_message": standing.message or None,
        **_labels(job.new.labels),
    }


def model_fields(model: StoredModel) -> Values:
    return {
        "name": model.model,
        "description": _text(model.document, "description"),
        "create_time": model.created,
        **_labels(model.labels),
    }


def version_fields(version: StoredVersion, default: str | None) -> Values:
    """
    Args:
      default: id of the model's default version.
    """
    return {
        "name": version.version,
        "description": _text(version.document, "description"),
        "create_time": version.created,
        "state": version.state,
        "framework": _text(version.document, "framework"),
        "is_default": version.version == default,
        "error_message": version.message or None,
        **_labels(version.labels),
    }


def _labels(labels: Mapping[str, str]) -> Values:
    return {f"labels.{key}": value for key, value in labels.items()}


def _text(document: Mapping[str, Any], field: str) -> str | None:
    value = document.get(field)
    return value if isinstance(value, str) else None
