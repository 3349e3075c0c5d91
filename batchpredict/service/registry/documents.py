"""What clients are shown of models, versions and operations: the stored ones in wire form.

Names are full ones, times are RFC 3339 in UTC, and what is not set is absent, also a false `isDefault`, as in
proto3 JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from batchpredict.job import to_timestamp
from batchpredict.resources import ModelName, OperationName, VersionName
from batchpredict.service.store.interface import Operation, StoredModel, StoredVersion

_TYPE = "type.googleapis.com/google.cloud.ml.v1"
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}

# google.rpc.Code, as operations have it in their errors.
CANCELLED = 1
INVALID_ARGUMENT = 3
NOT_FOUND = 5
FAILED_PRECONDITION = 9
ABORTED = 10
INTERNAL = 13


_ELSEWHERE = ("name", "labels", "etag", "defaultVersion")


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a resource is its document; the rest has a place of its own."""
    return {key: value for key, value in document.items() if key not in _ELSEWHERE}


def model_document(model: StoredModel, default: StoredVersion | None) -> dict[str, Any]:
    """A Model. `default`: its default version, if it has one."""
    return {
        "name": str(ModelName(model.project, model.model)),
        **model.document,
        **({"defaultVersion": version_document(default, is_default=True)} if default is not None else {}),
        **({"labels": dict(model.labels)} if model.labels else {}),
        "etag": model.etag,
    }


def version_document(version: StoredVersion, *, is_default: bool) -> dict[str, Any]:
    """A Version. Its `deploymentUri` is what was sent, wherever the copy of its files is."""
    return {
        "name": str(VersionName(version.project, version.model, version.version)),
        **version.document,
        **({"isDefault": True} if is_default else {}),
        "createTime": to_timestamp(version.created),
        **({"lastUseTime": to_timestamp(version.last_used)} if version.last_used else {}),
        "state": version.state,
        **({"errorMessage": version.message} if version.message else {}),
        **({"labels": dict(version.labels)} if version.labels else {}),
        "etag": version.etag,
    }


def operation_document(
    project: str,
    operation: str,
    kind: str,
    now: datetime,
    *,
    model: str,
    version: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An Operation that has begun.

    Args:
      kind: its operationType: CREATE_VERSION, DELETE_VERSION, DELETE_MODEL, UPDATE_MODEL or UPDATE_VERSION.
      model: id of its model.
      version: Version that it is about.
      labels: of that.
    """
    at = to_timestamp(now)
    return {
        "name": str(OperationName(project, operation)),
        "metadata": {
            "@type": f"{_TYPE}.OperationMetadata",
            "createTime": at,
            "startTime": at,
            "operationType": kind,
            "modelName": str(ModelName(project, model)),
            **({"version": dict(version)} if version is not None else {}),
            **({"labels": dict(labels)} if labels else {}),
        },
    }


def response_of(kind: str = "", document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The response of an operation: a "Model" or a "Version", or by default google.protobuf.Empty."""
    return dict(_EMPTY) if document is None else {"@type": f"{_TYPE}.{kind}", **document}


def error_of(code: int, message: str) -> dict[str, Any]:
    """The error of an operation, a google.rpc.Status."""
    return {"code": code, "message": message}


def is_cancelled(operation: Operation) -> bool:
    """Whether somebody has asked for its end."""
    return bool(operation.document.get("metadata", {}).get("isCancellationRequested"))
