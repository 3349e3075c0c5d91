"""The methods of versions. CREATE_VERSION has files to copy, and goes on after it is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.resources import ModelName, VersionName
from batchpredict.service.access.interface import Paths
from batchpredict.service.filters import Filter
from batchpredict.service.registry.creation import FIELD
from batchpredict.service.registry.documents import kept, operation_document, response_of, version_document
from batchpredict.service.registry.errors import ResourceExists, ResourceInUse, no_model, no_version
from batchpredict.service.registry.lookups import Document, Lookups, operation_name
from batchpredict.service.registry.messages import read_version, read_version_patch
from batchpredict.service.registry.patches import VERSION_MASK, changes_of, masked
from batchpredict.service.registry.sources import look_at
from batchpredict.service.store.interface import Exists, InUse, Missing, Operation, StoredVersion


class VersionMethods(Lookups):
    """The part of the registry that is about versions."""

    _paths: Paths

    def _begun(self) -> None:
        """An operation was created that is to be performed."""
        raise NotImplementedError

    def create_version(self, project: str, model: str, document: Mapping[str, Any], creator: str) -> Document:
        """The Operation, which goes on. Raises InvalidJob, ResourceMissing, ResourceExists."""
        del creator
        version = read_version(document)
        self._model(project, model)
        # Whoever names a wrong folder is told at once, and the name stays free. The operation looks again.
        look_at(self._paths.check(version.deployment_uri, FIELD), FIELD)
        labels = version.labels or {}
        while True:
            now = self._store.now()
            name = operation_name("create", now, model, version.name)
            new = StoredVersion(
                project,
                model,
                version.name,
                kept(version.to_wire()),
                labels,
                now,
                "",
                details={"operation": name, "attempt": 0},
            )
            about = version_document(new, is_default=False)
            # The store gives it its time and its etag.
            del about["createTime"], about["etag"]
            shown = operation_document(
                project, name, "CREATE_VERSION", now, model=model, version=about, labels=labels
            )
            try:
                self._store.create_version(new, Operation(project, name, shown, done=False))
                break
            except Missing:
                raise no_model(ModelName(project, model)) from None
            except Exists:
                if self._has_version(project, model, version.name):
                    text = "A version with the same name already exists."
                    raise ResourceExists("version.name", text) from None
                # An operation of this very millisecond has the name.
        self._begun()
        return shown

    def version(self, project: str, model: str, version: str) -> Document:
        """Raises ResourceMissing."""
        default = self._model(project, model).default
        return version_document(self._version(project, model, version), is_default=default == version)

    def versions(
        self, project: str, model: str, *, where: Filter | None = None, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]:
        """Raises ResourceMissing if there is no such model."""
        default = self._model(project, model).default
        found, following = self._store.versions(project, model, where=where, size=size, after=after)
        return [version_document(one, is_default=one.version == default) for one in found], following

    def patch_version(
        self, project: str, model: str, version: str, document: Mapping[str, Any], mask: Sequence[str]
    ) -> Document:
        """The Operation, done. Raises InvalidJob, ResourceMissing, Stale."""
        patch = read_version_patch(document)
        wanted = masked(mask, VERSION_MASK, patch.model_fields_set)
        stored = self._model(project, model)
        changes = changes_of(patch.to_wire(), wanted)
        try:
            changed = self._store.patch_version(project, model, version, changes, patch.etag or None)
        except Missing:
            raise no_version(VersionName(project, model, version)) from None
        shown = version_document(changed, is_default=stored.default == version)
        return self._done("update", "UPDATE_VERSION", stored, changed, response=response_of("Version", shown))

    def delete_version(self, project: str, model: str, version: str) -> Document:
        """The Operation, done; its files go when no job needs them. Raises ResourceMissing, ResourceInUse."""
        model_stored = self._model(project, model)
        stored = self._version(project, model, version)
        try:
            self._store.delete_version(project, model, version)
        except Missing:
            raise no_version(VersionName(project, model, version)) from None
        except InUse:
            text = "Cannot delete the default version of a model that has others; make another one the default."
            raise ResourceInUse("name", text) from None
        return self._done("delete", "DELETE_VERSION", model_stored, stored, response=response_of())

    def set_default(self, project: str, model: str, version: str) -> Document:
        """The Version. Raises ResourceMissing; ResourceInUse if it is not READY."""
        self._model(project, model)
        stored = self._ready(project, model, version)
        try:
            self._store.patch_model(project, model, {"default": version}, None)
        except Missing:
            raise no_model(ModelName(project, model)) from None
        return version_document(stored, is_default=True)
