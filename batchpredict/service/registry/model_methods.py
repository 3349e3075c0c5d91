"""The methods of models. An operation that only changes rows is done when it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.resources import ModelName
from batchpredict.service.filters import Filter
from batchpredict.service.registry.documents import kept, model_document, response_of
from batchpredict.service.registry.errors import ResourceExists, ResourceInUse, no_model
from batchpredict.service.registry.lookups import Document, Lookups
from batchpredict.service.registry.messages import read_model, read_model_patch
from batchpredict.service.registry.patches import MODEL_MASK, changes_of, default_of, masked
from batchpredict.service.store.interface import Exists, InUse, Missing, StoredModel


class ModelMethods(Lookups):
    """The part of the registry that is about models."""

    def create_model(self, project: str, document: Mapping[str, Any], creator: str) -> Document:
        """The Model. Raises InvalidJob, ResourceExists."""
        model = read_model(document)
        now = self._store.now()
        new = StoredModel(project, model.name, kept(model.to_wire()), model.labels or {}, creator, now, "")
        try:
            return model_document(self._store.create_model(new), None)
        except Exists:
            raise ResourceExists("model.name", "A model with the same name already exists.") from None

    def model(self, project: str, model: str) -> Document:
        """Raises ResourceMissing."""
        return self._shown(self._model(project, model))

    def models(
        self, project: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]:
        found, following = self._store.models(project, where=where, size=size, after=after)
        return [self._shown(one) for one in found], following

    def patch_model(self, project: str, model: str, document: Mapping[str, Any], mask: Sequence[str]) -> Document:
        """The Operation, done. Raises InvalidJob, ResourceMissing, ResourceInUse, Stale."""
        patch = read_model_patch(document)
        wanted = masked(mask, MODEL_MASK, patch.model_fields_set)
        self._model(project, model)
        changes = changes_of(patch.to_wire(), wanted)
        if "default_version.name" in wanted:
            changes["default"] = self._ready(
                project, model, default_of(patch.default_version, ModelName(project, model))
            ).version
        try:
            changed = self._store.patch_model(project, model, changes, patch.etag or None)
        except Missing:
            raise no_model(ModelName(project, model)) from None
        shown = self._shown(changed)
        return self._done("update", "UPDATE_MODEL", changed, response=response_of("Model", shown))

    def delete_model(self, project: str, model: str) -> Document:
        """The Operation, done. Raises ResourceMissing, ResourceInUse."""
        stored = self._model(project, model)
        try:
            self._store.delete_model(project, model)
        except Missing:
            raise no_model(ModelName(project, model)) from None
        except InUse:
            text = "Cannot delete a model that has versions; delete those first, the default version last."
            raise ResourceInUse("name", text) from None
        return self._done("delete", "DELETE_MODEL", stored, response=response_of())
