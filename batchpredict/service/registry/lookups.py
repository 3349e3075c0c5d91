"""What the methods of models and of versions share: what is there, in the words of the service, and operations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from batchpredict.resources import ModelName, VersionName
from batchpredict.service.registry.documents import model_document, operation_document, version_document
from batchpredict.service.registry.errors import no_model, no_version, not_ready
from batchpredict.service.store.interface import (
    Exists,
    Missing,
    Operation,
    Store,
    StoredModel,
    StoredVersion,
)

Document = dict[str, Any]


class Lookups:
    """The part of the registry that the others are made of."""

    _store: Store

    def _model(self, project: str, model: str) -> StoredModel:
        try:
            return self._store.model(project, model)
        except Missing:
            raise no_model(ModelName(project, model)) from None

    def _version(self, project: str, model: str, version: str) -> StoredVersion:
        try:
            return self._store.version(project, model, version)
        except Missing:
            raise no_version(VersionName(project, model, version)) from None

    def _has_version(self, project: str, model: str, version: str) -> bool:
        try:
            self._store.version(project, model, version)
        except Missing:
            return False
        return True

    def _ready(self, project: str, model: str, version: str) -> StoredVersion:
        stored = self._version(project, model, version)
        if stored.state != "READY":
            raise not_ready(VersionName(project, model, version), stored.state, stored.message)
        return stored

    def _shown(self, model: StoredModel) -> Document:
        default = None
        if model.default is not None:
            try:
                default = self._store.version(model.project, model.model, model.default)
            except Missing:
                # Deleted since the model was read.
                default = None
        return model_document(model, default)

    def _done(
        self,
        verb: str,
        kind: str,
        model: StoredModel,
        version: StoredVersion | None = None,
        *,
        response: Mapping[str, Any],
    ) -> Document:
        """Keep the operation of something that was done already."""
        about = None if version is None else version_document(version, is_default=False)
        labels = model.labels if version is None else version.labels
        while True:
            now = self._store.now()
            name = operation_name(verb, now, model.model, *([] if version is None else [version.version]))
            document = operation_document(
                model.project, name, kind, now, model=model.model, version=about, labels=labels
            )
            document["metadata"]["endTime"] = document["metadata"]["createTime"]
            document.update(done=True, response=dict(response))
            try:
                self._store.create_operation(Operation(model.project, name, document, done=True))
                return document
            except Exists:
                # Another one of this very millisecond has the name.
                continue


def operation_name(verb: str, now: datetime, *ids: str) -> str:
    return f"{'_'.join((verb, *ids))}-{int(now.timestamp() * 1000)}"
