"""What the model of a job means when the job is created: the folder of files that it will be scored with.

A name is looked up once. Whatever becomes of the version or the default afterwards, the job keeps what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from batchpredict.job import Job, PredictionInput
from batchpredict.resources import ModelName, VersionName
from batchpredict.service.access.interface import Access, Caller, Paths
from batchpredict.service.registry.errors import ResourceInUse, no_model, no_version, not_ready
from batchpredict.service.store.interface import Missing, Stale, Store, StoredModel, StoredVersion

URI = "prediction_input.uri"
MODEL_NAME = "prediction_input.model_name"
VERSION_NAME = "prediction_input.version_name"

_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Pinned:
    """The model of a job.

    Attributes:
      uri: folder of its files, as a worker is to read it; "" for a job that has none.
      version: full name of the version whose copy that is; "" for a folder of the user's own.
      details: what is known of a version's files: "signatures", "defaultSignature".
    """

    uri: str = ""
    version: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def stored(self) -> dict[str, str]:
        """As `NewJob.pinned` has it."""
        return {key: value for key, value in (("uri", self.uri), ("version", self.version)) if value}


def resolve(job: Job, project: str, caller: Caller, *, store: Store, access: Access, paths: Paths) -> Pinned:
    """Find what the model of a job means now.

    Args:
      job: as it was sent; it stays as it is.
      project: that it is created in. Its own models are open to whoever may create jobs there.
      caller: who creates it.

    Raises:
      ResourceMissing: no such model or version, or one of another project that the caller may not know of.
      ResourceInUse: the version is not ready, or the model has no version.
      InvalidJob: a uri that is outside of the roots.
    """
    source = job.prediction_input
    if source is None:
        return Pinned()
    if not (source.model_name or source.version_name):
        return Pinned(paths.check((source.uri or "").strip(), URI))
    model, stored, at, kind = _model(source, store)
    # To look at a model is not to use it: whoever scores with one learns what is in it.
    needed = () if model.project == project else (f"ml.{kind}.get", f"ml.{kind}.predict")
    if not all(access.may(caller, permission, str(model), owner=stored.creator) for permission in needed):
        raise no_model(model, at)
    return _pinned(source, stored, at, store)


def version_now(source: PredictionInput, store: Store) -> Pinned:
    """What the model name or version name of a watch means now; that it may be used was asked at its creation.

    Raises:
      ResourceMissing, ResourceInUse: as `resolve`.
    """
    _, stored, at, _ = _model(source, store)
    return _pinned(source, stored, at, store)


def _model(source: PredictionInput, store: Store) -> tuple[ModelName, StoredModel, str, str]:
    """The model that is asked for, the field that names it or its version, and which of the two that is."""
    if source.version_name:
        model, at, kind = VersionName.parse(source.version_name).parent, VERSION_NAME, "versions"
    else:
        model, at, kind = ModelName.parse(source.model_name or ""), MODEL_NAME, "models"
    try:
        return model, store.model(model.project, model.model), at, kind
    except Missing:
        raise no_model(model, at) from None


def _pinned(source: PredictionInput, model: StoredModel, at: str, store: Store) -> Pinned:
    """The version that is asked for; of a model its default."""
    if source.version_name:
        name = VersionName.parse(source.version_name)
    elif model.default is None:
        text = f'The model "{ModelName(model.project, model.model)}" has no version yet; create one first.'
        raise ResourceInUse(at, text)
    else:
        name = VersionName(model.project, model.model, model.default)
    try:
        version = store.version(name.project, name.model, name.version)
    except Missing:
        raise no_version(name, at) from None
    if version.state != "READY":
        raise not_ready(name, version.state, version.message, at)
    _used(store, version)
    return Pinned(version.uri, str(name), version.details)


def _used(store: Store, version: StoredVersion) -> None:
    """Note when a version was used last; not for each of many jobs."""
    now = store.now()
    if version.last_used is not None and now - version.last_used < _USED_EVERY:
        return
    try:
        store.patch_version(version.project, version.model, version.version, {"last_used": now}, None)
    except (Missing, Stale):
        # It was there a moment ago, which is enough.
        return
