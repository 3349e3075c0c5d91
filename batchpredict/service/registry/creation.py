"""CREATE_VERSION: copy the files of a SavedModel, find its signatures, and make the version READY, or FAILED.

Every attempt writes its number into the version's row before it begins, and what it comes to only while that number
stands there. So of two processes that both think to hold the operation, one has its way, and a version that was
deleted, or made anew under its name, is left alone.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from batchpredict.errors import InvalidJob, ModelUnusable
from batchpredict.resources import VersionName
from batchpredict.service.access.interface import Paths
from batchpredict.service.registry.copies import Copies, Owner, copy_model
from batchpredict.service.registry.documents import (
    ABORTED,
    CANCELLED,
    FAILED_PRECONDITION,
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    error_of,
    response_of,
    version_document,
)
from batchpredict.service.registry.inspection import inspect
from batchpredict.service.registry.operations import Abandoned, CancelRequested, Hold
from batchpredict.service.registry.sources import printable
from batchpredict.service.store.interface import Missing, ModelStore, Stale, StoredVersion

_log = logging.getLogger(__name__)

FIELD = "version.deployment_uri"

MAX_ATTEMPTS = 10
"""Attempts that may end without a word, as one does with its process: as many as a job may lose its lease."""

Inspect = Callable[[str, Callable[[], None]], Mapping[str, Any]]


class _Superseded(Exception):
    """The version is gone, or another attempt's."""


class VersionCreation:
    """Performs the operations that create versions.

    Args:
      store: of the versions and operations.
      paths: where files may be read from.
      copies: where they are copied to.
      inspecting: finds the signatures of a copy.
    """

    def __init__(self, store: ModelStore, paths: Paths, copies: Copies, inspecting: Inspect = inspect) -> None:
        self._store = store
        self._paths = paths
        self._copies = copies
        self._inspect = inspecting

    def __call__(self, hold: Hold) -> None:
        operation = hold.operation
        name = _version_of(operation.document)
        try:
            version = self._begin(name, operation.operation)
        except (Missing, _Superseded):
            self._finish(hold, error=error_of(NOT_FOUND, f'The version "{name}" was deleted.'))
            return
        if version.state == "CREATING":
            try:
                version = self._create(hold, version)
            except _Superseded:
                # If by a deletion, the next look at the operation finds that; if by another process, that ends it.
                raise Abandoned(f"The version {name} is another attempt's.") from None
        self._tell(hold, version)

    def _begin(self, name: VersionName, operation: str) -> StoredVersion:
        """The version, under the number of a new attempt unless it was created already.

        Raises:
          Missing, _Superseded: it is gone, or is not this operation's.
        """
        while True:
            version = self._store.version(name.project, name.model, name.version)
            if version.details.get("operation") != operation:
                raise _Superseded
            if version.state != "CREATING":
                return version
            details = {"operation": operation, "attempt": version.details.get("attempt", 0) + 1}
            with contextlib.suppress(Stale):
                return self._store.patch_version(*_key(version), {"details": details}, version.etag)

    def _create(self, hold: Hold, version: StoredVersion) -> StoredVersion:
        attempt = version.details["attempt"]
        if attempt > MAX_ATTEMPTS:
            text = (
                f"The service ended {MAX_ATTEMPTS} times while it copied this version; the files may be to blame."
            )
            return self._failed(version, ABORTED, text)
        owner = Owner(version.project, version.model, version.version, hold.operation.operation)
        folder = None
        try:
            hold.check()
            uri = self._paths.check(str(version.document["deploymentUri"]), FIELD)
            folder = self._copies.begin(owner)
            copied = copy_model(uri, folder, self._paths, FIELD, hold.check, readable=self._copies.readable)
            found = self._inspect(folder, hold.check)
            hold.check()
            details = {**version.details, **asdict(copied), **found}
            return self._settle(version, {"state": "READY", "uri": folder, "details": details})
        except (Abandoned, _Superseded):
            self._discard(folder)
            raise
        except CancelRequested as error:
            code, text = CANCELLED, str(error)
        except InvalidJob as error:
            code, text = INVALID_ARGUMENT, str(error)
        except ModelUnusable as error:
            code, text = FAILED_PRECONDITION, _of_the_source(str(error), folder, version)
        except OSError as error:
            _log.warning("the version %s cannot be copied: %s", version.version, error)
            # Where the service keeps its files is nothing that users are told.
            code, text = INTERNAL, f"The files could not be copied: {error.strerror or 'they came out damaged'}."
        self._discard(folder)
        return self._failed(version, code, text)

    def _failed(self, version: StoredVersion, code: int, text: str) -> StoredVersion:
        details = {**version.details, "code": code}
        return self._settle(version, {"state": "FAILED", "message": printable(text), "details": details})

    def _settle(self, version: StoredVersion, changes: Mapping[str, Any]) -> StoredVersion:
        """Write what an attempt came to, if it is still the one that counts. Raises _Superseded."""
        while True:
            try:
                current = self._store.version(*_key(version))
                if current.state != "CREATING" or current.details != version.details:
                    raise _Superseded
                return self._store.patch_version(*_key(version), changes, current.etag)
            except Missing:
                raise _Superseded from None
            except Stale:
                # Its labels were patched, perhaps.
                continue

    def _tell(self, hold: Hold, version: StoredVersion) -> None:
        if version.state == "READY":
            model = self._store.model(version.project, version.model)
            document = version_document(version, is_default=model.default == version.version)
            self._finish(hold, response=response_of("Version", document))
        else:
            self._finish(hold, error=error_of(version.details.get("code", INTERNAL), version.message))

    def _finish(self, hold: Hold, **outcome: Any) -> None:
        self._store.finish_operation(hold.operation.project, hold.operation.operation, **outcome)

    def _discard(self, folder: str | None) -> None:
        if folder is not None:
            # What cannot be deleted now is in the index.
            with contextlib.suppress(OSError):
                self._copies.delete(folder)


def _key(version: StoredVersion) -> tuple[str, str, str]:
    return version.project, version.model, version.version


def _version_of(document: Mapping[str, Any]) -> VersionName:
    return VersionName.parse(document["metadata"]["version"]["name"])


def _of_the_source(text: str, folder: str | None, version: StoredVersion) -> str:
    """A sentence about the copy as one about what its user has named."""
    return text.replace(folder or "\0", str(version.document["deploymentUri"]))
