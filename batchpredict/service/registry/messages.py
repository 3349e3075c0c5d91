"""The Model and the Version resource as messages: what clients may send, and what is wrong with it.

Source: the ml v1 discovery document, projects.models and projects.models.versions. What has no meaning without
online prediction (scaling, logging, routes) is kept and given back, and does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from batchpredict.job import Bool, Findings, Item, NonBlank, Wire, WireEnum, decode, load, refuse, rule
from batchpredict.resources import id_fault

MODEL_OUTPUT_ONLY = ("default_version", "etag")
VERSION_OUTPUT_ONLY = (
    "create_time",
    "error_message",
    "etag",
    "is_default",
    "last_migration_model_id",
    "last_migration_time",
    "last_use_time",
    "state",
)
"""What only the service writes. A create request may carry them, and they are ignored unread."""


def _legal_id(text: str) -> str:
    fault = id_fault(text)
    if fault:
        raise refuse(fault)
    return text


_Id = Annotated[str, AfterValidator(_legal_id)]


class Framework(WireEnum):
    """What a version was made with."""

    FRAMEWORK_UNSPECIFIED = "FRAMEWORK_UNSPECIFIED"
    TENSORFLOW = "TENSORFLOW"
    SCIKIT_LEARN = "SCIKIT_LEARN"
    XGBOOST = "XGBOOST"


def _scored(value: Framework) -> Framework:
    if value not in (Framework.TENSORFLOW, Framework.FRAMEWORK_UNSPECIFIED):
        raise refuse(f"{value} is not a framework of batch prediction, which is of TensorFlow SavedModels.")
    return value


class Model(Wire):
    """A model of a create request: a name for its versions."""

    name: _Id
    description: str | None = None
    default_version: Any = None
    regions: tuple[Item, ...] | None = None
    online_prediction_logging: Bool | None = None
    online_prediction_console_logging: Bool | None = None
    labels: dict[str, str] | None = None
    etag: str | None = None

    @rule("regions")
    def _one_region(self) -> Findings:
        if self.regions and len(self.regions) > 1:
            yield ("regions",), "Only one region is supported."


class Version(Wire):
    """A version of a create request: a SavedModel under a name."""

    name: _Id
    description: str | None = None
    is_default: Any = None
    deployment_uri: NonBlank
    create_time: Any = None
    last_use_time: Any = None
    runtime_version: str | None = None
    machine_type: str | None = None
    state: Any = None
    error_message: Any = None
    package_uris: tuple[Item, ...] | None = None
    labels: dict[str, str] | None = None
    etag: str | None = None
    framework: Annotated[Framework, AfterValidator(_scored)] | None = None
    python_version: str | None = None
    prediction_class: str | None = None
    auto_scaling: dict[str, Any] | None = None
    manual_scaling: dict[str, Any] | None = None
    service_account: str | None = None
    request_logging_config: dict[str, Any] | None = None
    explanation_config: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    routes: dict[str, Any] | None = None
    accelerator_config: dict[str, Any] | None = None
    last_migration_model_id: Any = None
    last_migration_time: Any = None
    # Of 2017.
    online_prediction_logging: Bool | None = None

    @rule("prediction_class", "container")
    def _a_saved_model(self) -> Findings:
        for name in ("prediction_class", "container"):
            if getattr(self, name):
                yield (name,), "Code of one's own is not run here; a version is a TensorFlow SavedModel."


class ModelPatch(Model):
    """A model of a patch request, of which only what the mask names counts."""

    name: str | None = None  # type: ignore[assignment]


class VersionPatch(Version):
    """A version of a patch request, of which only what the mask names counts."""

    name: str | None = None  # type: ignore[assignment]
    deployment_uri: str | None = None  # type: ignore[assignment]


def read_model(document: Mapping[str, Any]) -> Model:
    """The model of a create request. Raises InvalidJob, with fields like "model.name"."""
    return decode(Model, _without(Model, document, MODEL_OUTPUT_ONLY), "model")


def read_version(document: Mapping[str, Any]) -> Version:
    """The version of a create request. Raises InvalidJob, with fields like "version.deployment_uri"."""
    return decode(Version, _without(Version, document, VERSION_OUTPUT_ONLY), "version")


def read_model_patch(document: Mapping[str, Any]) -> ModelPatch:
    """The model of a patch request. Raises InvalidJob."""
    return decode(ModelPatch, load(document), "model")


def read_version_patch(document: Mapping[str, Any]) -> VersionPatch:
    """The version of a patch request. Raises InvalidJob."""
    ignored = tuple(name for name in VERSION_OUTPUT_ONLY if name != "etag")
    return decode(VersionPatch, _without(Version, document, ignored), "version")


def _without(message: type[Wire], document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    known = message.spellings()
    return {key: value for key, value in load(document).items() if known.get(key) not in names}
