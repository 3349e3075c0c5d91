"""The messages of the API as JSON Schema, from which the OpenAPI description and the discovery document are made.

Those of a Job are read from the classes that read it, so that no field can be forgotten; those of the registry and
of access control are written down here. A reference is `{"$ref": "Name"}`.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import PlainSerializer

from batchpredict.job import Double, Epoch, Job, Timestamp, Watch, Wire

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
INT32: Schema = {"type": "integer", "format": "int32"}
INT64: Schema = {"type": "string", "format": "int64"}
NUMBER: Schema = {"type": "number", "format": "double"}
TIME: Schema = {"type": "string", "format": "google-datetime"}
BYTES: Schema = {"type": "string", "format": "byte"}
ANYTHING: Schema = {"type": "any"}


def ref(name: str) -> Schema:
    return {"$ref": name}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def mapped(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def one_of(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


def _message(description: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


_OPEN = mapped(ANYTHING)
_LABELS = mapped(TEXT)
_PAGE = {"nextPageToken": TEXT}

_OTHERS: Mapping[str, Schema] = {
    "ListJobsResponse": _message("A page of jobs.", jobs=listed(ref("Job")), **_PAGE),
    "ListWatchesResponse": _message("A page of watches.", watches=listed(ref("Watch")), **_PAGE),
    "ListEpochsResponse": _message("A page of epochs.", epochs=listed(ref("Epoch")), **_PAGE),
    "WatchRequest": _message("Nothing.", name=TEXT),
    "CancelJobRequest": _message("Nothing.", name=TEXT),
    "CancelOperationRequest": _message("Nothing.", name=TEXT),
    "SetDefaultVersionRequest": _message("Nothing.", name=TEXT),
    "Empty": _message("Nothing."),
    "LogLine": _message(
        "One line of a job's log.",
        number=INT32,
        timestamp=TIME,
        severity=one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        task=TEXT,
        message=TEXT,
    ),
    "Model": _message(
        "A name for the versions of a model.",
        name=TEXT,
        description=TEXT,
        defaultVersion=ref("Version"),
        regions=listed(TEXT),
        onlinePredictionLogging=TRUTH,
        onlinePredictionConsoleLogging=TRUTH,
        labels=_LABELS,
        etag=BYTES,
    ),
    "ListModelsResponse": _message("A page of models.", models=listed(ref("Model")), **_PAGE),
    "Version": _message(
        "A SavedModel, copied when it was created.",
        name=TEXT,
        description=TEXT,
        isDefault=TRUTH,
        deploymentUri=TEXT,
        createTime=TIME,
        lastUseTime=TIME,
        runtimeVersion=TEXT,
        machineType=TEXT,
        state=one_of("UNKNOWN", "READY", "CREATING", "FAILED", "DELETING", "UPDATING"),
        errorMessage=TEXT,
        packageUris=listed(TEXT),
        labels=_LABELS,
        etag=BYTES,
        framework=one_of("FRAMEWORK_UNSPECIFIED", "TENSORFLOW", "SCIKIT_LEARN", "XGBOOST"),
        pythonVersion=TEXT,
        predictionClass=TEXT,
        autoScaling=_OPEN,
        manualScaling=_OPEN,
        serviceAccount=TEXT,
        requestLoggingConfig=_OPEN,
        explanationConfig=_OPEN,
        container=_OPEN,
        routes=_OPEN,
        acceleratorConfig=_OPEN,
        lastMigrationModelId=TEXT,
        lastMigrationTime=TIME,
        onlinePredictionLogging=TRUTH,
    ),
    "ListVersionsResponse": _message("A page of versions.", versions=listed(ref("Version")), **_PAGE),
    "Operation": _message(
        "A long-running operation.", name=TEXT, metadata=_OPEN, done=TRUTH, error=ref("Status"), response=_OPEN
    ),
    "ListOperationsResponse": _message("A page of operations.", operations=listed(ref("Operation")), **_PAGE),
    "Status": _message("What went wrong, as google.rpc.", code=INT32, message=TEXT, details=listed(_OPEN)),
    "GetConfigResponse": _message(
        "Who the jobs of a project run as.", serviceAccount=TEXT, serviceAccountProject=INT64, config=ref("Config")
    ),
    "Config": _message("Nothing.", tpuServiceAccount=TEXT),
    "Expr": _message("A condition.", expression=TEXT, title=TEXT, description=TEXT, location=TEXT),
    "Binding": _message("Who has a role.", role=TEXT, members=listed(TEXT), condition=ref("Expr")),
    "Policy": _message(
        "Who may do what with a resource.",
        version=INT32,
        bindings=listed(ref("Binding")),
        auditConfigs=listed(_OPEN),
        etag=BYTES,
    ),
    "SetIamPolicyRequest": _message(
        "A policy to be set.", policy=ref("Policy"), updateMask={"type": "string", "format": "google-fieldmask"}
    ),
    "TestIamPermissionsRequest": _message("Permissions to be tested.", permissions=listed(TEXT)),
    "TestIamPermissionsResponse": _message("Those that the caller has.", permissions=listed(TEXT)),
}


def messages() -> dict[str, Schema]:
    """Every message of the API, by name."""
    seen: set[type[Wire]] = set()
    found = {cls.__name__: _described(cls) for root in (Job, Watch, Epoch) for cls in _reachable(root, seen)}
    # Ours: whom the service tells of each change of state.
    for name in ("Job", "Watch"):
        message = dict(found[name])
        found[name] = {**message, "properties": {**message["properties"], "webhook": TEXT}}
    return dict(sorted({**found, **_OTHERS}.items()))


def _reachable(message: type[Wire], seen: set[type[Wire]]) -> Iterator[type[Wire]]:
    if message in seen:
        return
    seen.add(message)
    yield message
    for hint in typing.get_type_hints(message, include_extras=True).values():
        for inner in _messages_in(hint):
            yield from _reachable(inner, seen)


def _messages_in(hint: Any) -> Iterator[type[Wire]]:
    # Parts first: on Python 3.10 `tuple[Wire, ...]` says it is a type, and issubclass does not agree.
    parts = typing.get_args(hint)
    for part in parts:
        yield from _messages_in(part)
    if not parts and isinstance(hint, type) and issubclass(hint, Wire):
        yield hint


def _described(message: type[Wire]) -> Schema:
    hints = typing.get_type_hints(message, include_extras=True)
    spelled = {name: wire for wire, name in message.spellings().items() if "_" not in wire}
    properties = {spelled[name]: _typed(hints[name]) for name in message.model_fields}
    # A second name on the wire for the same field.
    properties.update({wire: properties[spelled[name]] for wire, name in message.also_written.items()})
    summary = (message.__doc__ or "").partition("\n")[0].partition(". Read one")[0]
    return {"type": "object", "description": summary, "properties": properties}


def _typed(hint: Any) -> Schema:
    if hint == Timestamp:
        return TIME
    if hint == Double:
        return NUMBER
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        as_text = any(isinstance(one, PlainSerializer) and one.return_type is str for one in parts[1:])
        inner = _typed(parts[0])
        return (INT64 if inner == INT32 else TEXT) if as_text else inner
    if origin in (typing.Union, types.UnionType):
        return _typed(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return listed(_typed(parts[0]))
    if origin is dict:
        return mapped(_typed(parts[1]))
    if issubclass(hint, Wire):
        return ref(hint.__name__)
    if issubclass(hint, enum.Enum):
        return one_of(*(str(member.value) for member in hint))
    # A class of its own behind a text, as the error budget, is a text: its serializer says so.
    return {str: TEXT, bool: TRUTH, int: INT32, float: NUMBER}.get(hint, TEXT)
