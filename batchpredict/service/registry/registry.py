"""What the REST methods of models, versions and operations do; `rest.interface.Registry` is what each promises.

An operation that only changes rows is done when it is answered. CREATE_VERSION has files to copy, and is performed
by threads of this process, or of another one at the same store.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import to_camel
from batchpredict.resources import ModelName, VersionName
from batchpredict.service.access.interface import Paths
from batchpredict.service.filters import Filter
from batchpredict.service.registry.collection import Collection
from batchpredict.service.registry.copies import Copies
from batchpredict.service.registry.creation import FIELD, Inspect, VersionCreation
from batchpredict.service.registry.documents import (
    model_document,
    operation_document,
    response_of,
    version_document,
)
from batchpredict.service.registry.errors import (
    ResourceExists,
    ResourceInUse,
    no_model,
    no_operation,
    no_version,
    not_ready,
)
from batchpredict.service.registry.inspection import inspect
from batchpredict.service.registry.messages import (
    read_model,
    read_model_patch,
    read_version,
    read_version_patch,
)
from batchpredict.service.registry.operations import OperationThreads
from batchpredict.service.registry.sources import look_at
from batchpredict.service.store.interface import (
    Exists,
    InUse,
    Missing,
    Operation,
    Store,
    StoredModel,
    StoredVersion,
    StoreFailed,
)

_log = logging.getLogger(__name__)

_MODEL_MASK = (
    "default_version.name",
    "description",
    "etag",
    "labels",
    "online_prediction_console_logging",
    "online_prediction_logging",
)
_VERSION_MASK = (
    "auto_scaling",
    "description",
    "etag",
    "labels",
    "manual_scaling",
    "request_logging_config",
)

_COLLECTION_SECONDS = 60.0

Document = dict[str, Any]


class Registry:
    """Models, their versions, and the operations that make and unmake them. Used from many threads.

    Args:
      store: that they are in.
      paths: where the files of models may be read from.
      data: the service's own folder, a path or a URL.
      user: whom the inspection of a model, and jobs, run as; "" for the user of this process.
      memory: bytes of address space of an inspection; None for no bound.
      inspecting: finds the signatures of a model; by default a process of its own does.
      lease: how long an operation stays with a process that is not heard of.
      worker: an id of this process; made up if it is "".
    """

    def __init__(
        self,
        store: Store,
        paths: Paths,
        data: str,
        *,
        user: str = "",
        memory: int | None = None,
        inspecting: Inspect | None = None,
        lease: timedelta = timedelta(seconds=15),
        worker: str = "",
    ) -> None:
        self._store = store
        self._paths = paths
        copies = Copies(data, readable=bool(user))
        if inspecting is None:
            # An API that was not started by root cannot become another user; the worker can, or says so.
            inspecting = functools.partial(inspect, user=user if os.geteuid() == 0 else "", memory=memory)
        self._threads = OperationThreads(
            store,
            VersionCreation(store, paths, copies, inspecting),
            worker or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            lease=lease,
        )
        self._collection = Collection(store, copies)
        self._stopping = threading.Event()
        self._collecting = threading.Thread(target=self._collect, name="collection", daemon=True)

    def start(self) -> None:
        """Perform operations from now on, also those that were begun before, and collect copies."""
        self._threads.start()
        self._collecting.start()

    def close(self) -> None:
        """Stop; what is under way is taken up by whoever starts next."""
        self._stopping.set()
        self._threads.close()
        if self._collecting.ident is not None:
            self._collecting.join()

    # Models

    def create_model(self, project: str, document: Mapping[str, Any], creator: str) -> Document:
        """The Model. Raises InvalidJob, ResourceExists."""
        model = read_model(document)
        now = self._store.now()
        new = StoredModel(project, model.name, _kept(model.to_wire()), model.labels or {}, creator, now, "")
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
        wanted = _masked(mask, _MODEL_MASK, patch.model_fields_set)
        self._model(project, model)
        changes = _changes(patch.to_wire(), wanted)
        if "default_version.name" in wanted:
            changes["default"] = self._ready(project, model, _default_of(patch.default_version)).version
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

    # Versions

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
            name = _operation_name("create", now, model, version.name)
            new = StoredVersion(
                project,
                model,
                version.name,
                _kept(version.to_wire()),
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
        self._threads.wake()
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
        wanted = _masked(mask, _VERSION_MASK, patch.model_fields_set)
        stored = self._model(project, model)
        changes = _changes(patch.to_wire(), wanted)
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

    # Operations

    def operation(self, project: str, operation: str) -> Document:
        """Raises ResourceMissing."""
        try:
            return dict(self._store.operation(project, operation).document)
        except Missing:
            raise no_operation(operation) from None

    def operations(
        self, project: str, *, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]:
        found, following = self._store.operations(project, size=size, after=after)
        return [dict(one.document) for one in found], following

    def cancel_operation(self, project: str, operation: str) -> None:
        """Raises ResourceMissing."""
        try:
            self._store.patch_operation(project, operation, {"isCancellationRequested": True})
        except Missing:
            raise no_operation(operation) from None

    # What they share

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
            name = _operation_name(verb, now, model.model, *([] if version is None else [version.version]))
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

    def _collect(self) -> None:
        while not self._stopping.wait(_COLLECTION_SECONDS):
            try:
                self._collection.collect()
            except StoreFailed as error:
                _log.warning("copies of versions cannot be collected: %s", error)
            except Exception:
                _log.exception("copies of versions cannot be collected")


def _operation_name(verb: str, now: Any, *ids: str) -> str:
    return f"{'_'.join((verb, *ids))}-{int(now.timestamp() * 1000)}"


_ELSEWHERE = ("name", "labels", "etag", "defaultVersion")


def _kept(document: Mapping[str, Any]) -> Document:
    """What of a resource is its document; the rest has a place of its own."""
    return {key: value for key, value in document.items() if key not in _ELSEWHERE}


def _masked(mask: Sequence[str], known: Sequence[str], given: set[str]) -> list[str]:
    """The fields that a patch changes: those of its mask, or without one those that it has. Raises InvalidJob."""
    wanted = list(mask)
    if not wanted:
        wanted = [path for path in known if path.partition(".")[0] in given]
    wrong = [path for path in wanted if path not in known]
    if wrong or not wanted:
        what = f'"{wrong[0]}" cannot be changed' if wrong else "It names no field"
        raise InvalidJob([Violation("update_mask", f"{what}; expected some of {', '.join(known)}.")])
    return wanted


def _changes(document: Mapping[str, Any], wanted: Sequence[str]) -> Document:
    """The fields of a patch in wire form; None for one that is masked and not given."""
    names = [to_camel(path) for path in wanted if path not in ("etag", "default_version.name")]
    return {name: document.get(name, {} if name == "labels" else None) for name in names}


def _default_of(value: Any) -> str:
    """The id in `defaultVersion.name`, which is short or full. Raises InvalidJob."""
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InvalidJob([Violation("model.default_version.name", "This field is required.")])
    return name.rpartition("/")[2]
