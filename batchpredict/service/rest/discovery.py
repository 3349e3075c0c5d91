"""The discovery document of the API: `/$discovery/rest?version=v1`, from which Google's client libraries are built.

Source of the format: https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

import re
from typing import Any

from batchpredict.service.rest.method import GLOBAL, Method, Parameter
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.rest.schemas import messages

_SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform": {"description": "Everything that the caller may do."},
    "https://www.googleapis.com/auth/cloud-platform.read-only": {
        "description": "Everything that the caller may see."
    },
}


def describe(api_version: str, root: str) -> dict[str, Any]:
    """The document.

    Args:
      api_version: "v1" or "v1beta1".
      root: URL of the service, with a slash at its end.
    """
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"ml:{api_version}",
        "name": "ml",
        "version": api_version,
        "revision": "0",
        "title": "Batch prediction jobs",
        "description": "Batch prediction jobs, models and versions, as Cloud ML Engine had them.",
        "protocol": "rest",
        "rootUrl": root,
        "servicePath": "",
        "baseUrl": root,
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": _SCOPES}},
        "parameters": {parameter.name: _parameter(parameter) for parameter in GLOBAL},
        "schemas": {name: {"id": name, **schema} for name, schema in messages().items()},
        "resources": _resources(api_version),
    }


def _resources(api_version: str) -> dict[str, Any]:
    """`projects.models.versions.create` is a method of a resource within a resource within a resource."""
    top: dict[str, Any] = {"resources": {}}
    for method in METHODS:
        *path, name = method.id.split(".")
        at = top
        for word in path:
            at = at.setdefault("resources", {}).setdefault(word, {})
        at.setdefault("methods", {})[name] = _method(api_version, method)
    resources: dict[str, Any] = top["resources"]
    return resources


def _method(api_version: str, method: Method) -> dict[str, Any]:
    variable = {
        "location": "path",
        "required": True,
        "type": "string",
        "pattern": f"^{method.pattern.replace('*', '[^/]+')}$",
        "description": f"Name of the form {method.pattern}.",
    }
    described: dict[str, Any] = {
        "id": f"ml.{method.id}",
        "httpMethod": method.verb,
        "path": f"{api_version}/" + re.sub(r"\{(\w+)=[^}]+\}", r"{+\1}", method.path),
        "flatPath": f"{api_version}/" + re.sub(r"\{(\w+)\}", r"{\1sId}", method.flat),
        "description": method.summary,
        "parameterOrder": [method.variable],
        "parameters": {
            method.variable: variable,
            **{parameter.name: _parameter(parameter) for parameter in method.query},
        },
        "response": {"$ref": method.response},
        "scopes": list(_SCOPES),
    }
    if method.request:
        described["request"] = {"$ref": method.request}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {"location": "query", "type": parameter.kind, "description": parameter.description}
    if parameter.kind == "integer":
        described["format"] = "int32"
    if parameter.name == "updateMask":
        described["format"] = "google-fieldmask"
    return described
