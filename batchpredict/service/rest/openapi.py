"""The OpenAPI 3.1 description of the API: `/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchpredict.service.rest.bodies import MAX_BODY
from batchpredict.service.rest.method import GLOBAL, VERSIONS, Method, Parameter
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.rest.schemas import Schema, messages

_REASONS = {
    400: "The request is wrong, or the resource is in no state for it.",
    401: "The caller is not known.",
    403: "The caller may not do this.",
    404: "There is no such resource, or the caller may not know of it.",
    409: "The name is taken, or somebody else was faster.",
    429: "The project has as many queued jobs as it may.",
    503: "The database or the identity provider does not answer.",
}
_ALWAYS = (400, 401, 403, 404, 503)
_LINES = "projects.jobs.logs"

_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "status": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}


def describe(version: str) -> dict[str, Any]:
    """The description. `version`: of batchpredict."""
    paths: dict[str, dict[str, Any]] = {}
    for prefix in VERSIONS:
        for method in METHODS:
            operation = _operation(prefix, method)
            paths.setdefault(f"/{prefix}/{method.flat}", {})[method.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "batchpredict",
            "version": version,
            "description": (
                "Batch prediction jobs, models and versions, as Cloud ML Engine had them. Fields may be spelled in"
                f" camelCase or snake_case; null is as absent. Bodies have at most {MAX_BODY} bytes."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**{name: _converted(schema) for name, schema in messages().items()}, "Error": _ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(prefix: str, method: Method) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{prefix}.{method.id}",
        "summary": method.summary,
        "tags": [method.id.rpartition(".")[0]],
        "parameters": [
            *({"name": part, "in": "path", "required": True, "schema": _ID} for part in method.parts),
            *(_parameter(parameter) for parameter in (*method.query, *GLOBAL)),
        ],
        "responses": {
            "200": {
                "description": "It is done.",
                "content": {_media_type(method): {"schema": _reference(method.response)}},
            },
            **{str(code): _refusal(code) for code in sorted({*_ALWAYS, *method.statuses})},
        },
    }
    if method.request:
        operation["requestBody"] = {
            "required": method.request in ("Job", "Model", "Version"),
            "content": {"application/json": {"schema": _reference(method.request)}},
        }
    return operation


_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128}


def _media_type(method: Method) -> str:
    return "application/x-ndjson" if method.id == _LINES else "application/json"


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.kind == "integer":
        schema["format"] = "int32"
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}


def _refusal(code: int) -> dict[str, Any]:
    return {
        "description": _REASONS[code],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _reference(message: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{message}"}


def _converted(schema: Schema) -> dict[str, Any]:
    """A schema in OpenAPI's words. An int64 is taken as a number too, and comes back as it came."""
    if "$ref" in schema:
        return _reference(schema["$ref"])
    if schema.get("type") == "any":
        return {}
    converted: dict[str, Any] = dict(schema)
    if schema.get("format") == "int64":
        converted["type"] = ["string", "integer"]
    elif schema.get("format") == "google-datetime":
        converted["format"] = "date-time"
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            converted[name] = _converted(schema[name])
    if "properties" in schema:
        converted["properties"] = {name: _converted(inner) for name, inner in schema["properties"].items()}
    return converted
