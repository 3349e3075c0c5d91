"""Pages about models: those of a project, and one with its versions and their signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from batchpredict.resources import ModelName, ProjectName
from batchpredict.service.access.interface import Access
from batchpredict.service.console.listing import query_text
from batchpredict.service.console.pages import page
from batchpredict.service.console.sessions import visitor
from batchpredict.service.rest import paging
from batchpredict.service.store.interface import Missing, Store, StoredVersion

PAGE = 25


@dataclass(frozen=True)
class SignatureView:
    """A signature: (name, dtype, shape) of its inputs and outputs, and a line that it takes.

    Attributes:
      takes_lines: whether any line is a value of its only input; `example` is then no line but says that.
    """

    name: str
    inputs: Sequence[tuple[str, str, str]]
    outputs: Sequence[tuple[str, str, str]]
    example: str
    takes_lines: bool


@dataclass(frozen=True)
class VersionView:
    version: str
    name: str
    default: bool
    state: str
    message: str
    created: datetime
    last_used: datetime | None
    origin: str
    runtime: str
    description: str
    signatures: Sequence[SignatureView]
    default_signature: str


class Catalogue:
    """Models and versions, under the same rules as in the API."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def models(self, request: Request, project: str) -> Response:
        seen = visitor(self._access, request)
        name = ProjectName(project)
        self._access.require(seen.caller, "ml.models.list", str(name))
        token = request.query_params.get("pageToken", "")
        after = paging.position(token, f"{name}/models", "")
        models, following = self._store.models(project, size=PAGE, after=after)
        older = query_text({"pageToken": paging.token(following, f"{name}/models", "")})
        return page(seen, "models.html", project=project, models=models, older=older, first=not token)

    def model(self, request: Request, project: str, model: str) -> Response:
        """A model with a page of its versions."""
        seen = visitor(self._access, request)
        name = ModelName(project, model)
        try:
            found = self._store.model(project, model)
        except Missing:
            self._access.require(seen.caller, "ml.models.get", str(name))
            raise
        self._access.require(seen.caller, "ml.models.get", str(name), owner=found.creator)
        self._access.require(seen.caller, "ml.versions.list", str(name), owner=found.creator)
        token = request.query_params.get("pageToken", "")
        after = paging.position(token, f"{name}/versions", "")
        versions, following = self._store.versions(project, model, size=PAGE, after=after)
        older = query_text({"pageToken": paging.token(following, f"{name}/versions", "")})
        return page(
            seen,
            "model.html",
            project=project,
            model=found,
            name=str(name),
            versions=[version_view(version, found.default) for version in versions],
            older=older,
            first=not token,
            may_create=self._access.may(seen.caller, "ml.jobs.create", str(ProjectName(project))),
        )


def version_view(version: StoredVersion, default: str | None) -> VersionView:
    details = version.details
    signatures = details.get("signatures")
    return VersionView(
        version=version.version,
        name=f"{ModelName(version.project, version.model)}/versions/{version.version}",
        default=version.version == default,
        state=version.state,
        message=version.message,
        created=version.created,
        last_used=version.last_used,
        origin=_text(version.document, "deploymentUri"),
        runtime=_text(version.document, "runtimeVersion"),
        description=_text(version.document, "description"),
        signatures=[
            _signature(name, found)
            for name, found in (signatures.items() if isinstance(signatures, Mapping) else ())
            if isinstance(found, Mapping)
        ],
        default_signature=_text(details, "defaultSignature"),
    )


def _signature(name: str, found: Mapping[str, Any]) -> SignatureView:
    inputs, example = _tensors(found, "inputs"), _text(found, "exampleLine")
    # As the model's reader tells it: where a line is JSON the example is JSON too.
    takes_lines = len(inputs) == 1 and inputs[0][1] == "string" and bool(example) and example[0] not in '"[{'
    return SignatureView(name, inputs, _tensors(found, "outputs"), example, takes_lines)


def _tensors(found: Mapping[str, Any], which: str) -> list[tuple[str, str, str]]:
    tensors = found.get(which)
    if not isinstance(tensors, Mapping):
        return []
    return [
        (str(name), str(spec.get("dtype", "")), _shape(spec.get("shape")))
        for name, spec in tensors.items()
        if isinstance(spec, Mapping)
    ]


def _shape(shape: Any) -> str:
    """[null, 2] as it is usually written: (?, 2)."""
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        return "unknown"
    return f"({', '.join('?' if size is None or size == -1 else str(size) for size in shape)})"


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
