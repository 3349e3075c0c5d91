"""Why a model, a version or an operation cannot be had or changed: the store's errors, with the field at fault.

Each has `violations`, of which an answer makes its google.rpc.BadRequest. Texts are the service's where they are
known (cmle-behaviour §4.3 and §9).
"""

from __future__ import annotations

from batchpredict.errors import BatchPredictError, Violation
from batchpredict.resources import ModelName, VersionName
from batchpredict.service.store.interface import Exists, InUse, Missing


class _OfAField(BatchPredictError):
    """An error that is about one field."""

    def __init__(self, field: str, description: str) -> None:
        self.violations = (Violation(field, description),)
        super().__init__(str(self.violations[0]))


class ResourceMissing(_OfAField, Missing):
    """There is no such model, version or operation."""


class ResourceExists(_OfAField, Exists):
    """The name is taken. Airflow goes on after this one if it has exactly one violation, in exactly these words."""


class ResourceInUse(_OfAField, InUse):
    """It has what must go first, or it is not ready yet."""


def no_model(name: ModelName, field: str = "name") -> ResourceMissing:
    """There is no model of this name, or the caller may not know of it."""
    return ResourceMissing(
        field,
        f'The model resource: "{name.model}" was not found. Please create the model resource first by using '
        f"'batchpredict models create {name.model}'.",
    )


def no_version(name: VersionName, field: str = "name") -> ResourceMissing:
    """There is no version of this name, or the caller may not know of it."""
    return ResourceMissing(
        field,
        f'The version resource: "{name.version}" of the model "{name.model}" was not found. Please create the '
        f"version resource first by using 'batchpredict versions create {name.version} --model {name.model}'.",
    )


def no_operation(operation: str) -> ResourceMissing:
    return ResourceMissing("name", f'The operation "{operation}" was not found.')


def not_ready(name: VersionName, state: str, message: str, field: str = "name") -> ResourceInUse:
    """A version whose files are not there yet, or never will be."""
    why = f": {message}" if message else "."
    return ResourceInUse(field, f'The version "{name}" is not READY but {state}{why}')
