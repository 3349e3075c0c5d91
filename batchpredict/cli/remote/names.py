"""From what a command was given, an id or a full name, to the full name that the service knows."""

from __future__ import annotations

from batchpredict.cli.remote.connection import Service
from batchpredict.errors import InvalidName, WrongCall
from batchpredict.resources import JobName, ModelName, OperationName, ProjectName, VersionName, WatchName


def project_name(given: str) -> str:
    """The full name of a project. Raises WrongCall."""
    try:
        return str(ProjectName.parse(given) if "/" in given else ProjectName(given))
    except InvalidName as error:
        raise _wrong("PROJECT", given, error) from error


def job_name(service: Service, given: str) -> str:
    """The full name of a job. Raises WrongCall."""
    try:
        return str(JobName.parse(given) if "/" in given else JobName(service.project, given))
    except InvalidName as error:
        raise _wrong("JOB", given, error) from error


def watch_name(service: Service, given: str) -> str:
    """The full name of a watch. Raises WrongCall."""
    try:
        return str(WatchName.parse(given) if "/" in given else WatchName(service.project, given))
    except InvalidName as error:
        raise _wrong("WATCH", given, error) from error


def model_name(service: Service, given: str, where: str = "--model") -> str:
    """The full name of a model. Raises WrongCall."""
    try:
        return str(ModelName.parse(given) if "/" in given else ModelName(service.project, given))
    except InvalidName as error:
        raise _wrong(where, given, error) from error


def version_name(service: Service, model: str, given: str, where: str = "VERSION") -> str:
    """The full name of a version of a model. Raises WrongCall."""
    name = ModelName.parse(model_name(service, model))
    try:
        return str(VersionName(name.project, name.model, given))
    except InvalidName as error:
        raise _wrong(where, given, error) from error


def operation_name(service: Service, given: str) -> str:
    """The full name of an operation. Raises WrongCall."""
    try:
        return str(OperationName.parse(given) if "/" in given else OperationName(service.project, given))
    except InvalidName as error:
        raise _wrong("OPERATION", given, error) from error


def _wrong(where: str, given: str, error: InvalidName) -> WrongCall:
    """The reason stands after the name and the form in the error's sentence."""
    reason = str(error).rpartition('": ')[2].partition(": ")[2] or str(error)
    return WrongCall(f"{where}: '{given}': {reason}")
