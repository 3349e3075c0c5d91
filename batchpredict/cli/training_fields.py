"""From flags and files to the document of a training job."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from typing import Any

from batchpredict.cli.fields import put, snake, spelling
from batchpredict.errors import Violation, WrongCall
from batchpredict.launch import read_document

# flag's destination -> field of trainingInput
_FIELDS = {
    "module_name": "pythonModule",
    "job_dir": "jobDir",
    "scale_tier": "scaleTier",
    "master_machine_type": "masterType",
    "worker_machine_type": "workerType",
    "parameter_server_machine_type": "parameterServerType",
    "worker_count": "workerCount",
    "parameter_server_count": "parameterServerCount",
    "region": "region",
    "runtime_version": "runtimeVersion",
    "python_version": "pythonVersion",
}
_PACKAGES = {"packages": "packageUris", "package_path": "packageUris"}
_DEFAULT_REGION, _DEFAULT_TIER = "local", "BASIC"


def read_documents(options: argparse.Namespace) -> dict[str, Any]:
    """The Job of --job, with what --config says over it; an empty one without either.

    Raises:
      WrongCall: a file cannot be read, or is not what it should be.
    """
    document = read_document(options.job) if options.job else {}
    if options.config:
        for field, value in _config(options.config).items():
            put(document, field, value)
    return document


def override(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Put the flags into a Job document, over what it says of itself; its trainingInput."""
    source = document.setdefault(spelling(document, "trainingInput"), {})
    if not isinstance(source, dict):
        raise WrongCall("training_input: expected an object")
    for destination, field in _FIELDS.items():
        put(source, field, getattr(options, destination))
    if options.trainer_args:
        put(source, "args", list(options.trainer_args))
    source.setdefault("region", _DEFAULT_REGION)
    if not {"scaleTier", "scale_tier"} & source.keys():
        source["scaleTier"] = _DEFAULT_TIER
    return source


def staging(document: dict[str, Any], options: argparse.Namespace) -> tuple[str, str]:
    """Where a package of this machine is put, and the flag or the field that says so; "" for nowhere."""
    if options.staging_bucket:
        return options.staging_bucket, "--staging-bucket"
    if options.job_dir:
        return options.job_dir, "--job-dir"
    source = document.get(spelling(document, "trainingInput"))
    job_dir = source.get(spelling(source, "jobDir")) if isinstance(source, dict) else None
    return (job_dir, "jobDir") if isinstance(job_dir, str) else ("", "")


@contextlib.contextmanager
def packed(document: dict[str, Any], options: argparse.Namespace) -> Iterator[list[str]]:
    """The packages of the command line; the one of --package-path is made, and put where replicas find it.

    Args:
      document: what the files of the command line say.

    Raises:
      WrongCall: there is no such package.
    """
    given: list[str] = list(options.packages or ())
    if not options.package_path:
        yield given
        return
    from batchpredict.training import pack

    place, flag = staging(document, options)
    if place:
        yield [pack(options.package_path, place, flag=flag), *given]
        return
    with tempfile.TemporaryDirectory(prefix="batchpredict-package-") as folder:
        yield [pack(options.package_path, folder), *given]


def located(violation: Violation, options: argparse.Namespace) -> str:
    """A violation with the flag that set the field, or that could set it, or the file that it is in."""
    last = violation.field.rpartition(".")[2].partition("[")[0]
    fields = {**_PACKAGES, **_FIELDS}
    names = [name for name, field in fields.items() if snake(field) == last]
    given = next((name for name in names if getattr(options, name) is not None), None)
    file = options.config or options.job
    if given is not None or (names and not file):
        return f"--{(given or names[0]).replace('_', '-')}: {violation.description}"
    return f"{file}: {violation}" if file else str(violation)


def _config(path: str) -> dict[str, Any]:
    """What a file of gcloud's --config says: trainingInput and labels."""
    import yaml

    from batchpredict import storage

    try:
        found = yaml.safe_load(storage.read_bytes(path))
    except FileNotFoundError as error:
        raise WrongCall(f"--config: there is no file '{path}'") from error
    except (OSError, ValueError) as error:
        raise WrongCall(f"--config: '{path}' cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise WrongCall(f"--config: '{path}' is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not {"trainingInput", "training_input"} & found.keys():
        raise WrongCall(f"--config: '{path}' has no trainingInput")
    # What YAML has and JSON has not, a date for one, is the text that it is.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain
