"""`batchpredict versions …`"""

from __future__ import annotations

import argparse
from typing import Any

from batchpredict.cli.fields import put, spelling
from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.files import read_object
from batchpredict.cli.remote.labels import relabelled
from batchpredict.cli.remote.names import model_name, version_name
from batchpredict.cli.remote.operations import finished
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.render import last_part, print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.errors import WrongCall
from batchpredict.launch import SUCCEEDED


@command
def create(service: Service, options: argparse.Namespace) -> int:
    name = _name(service, options)
    parent, _, version = name.rpartition("/versions/")
    operation = service.post(f"{parent}/versions", _described(options, version))
    if options.no_wait:
        print_resource(operation, options.format)
        return SUCCEEDED
    print_resource(finished(service, operation, quiet=options.quiet), options.format)
    tell(f"created {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def list_versions(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{model_name(service, options.model)}/versions",
        items="versions",
        name=lambda version: str(version["name"]),
        columns={
            "NAME": lambda version: last_part(version.get("name")),
            "DEPLOYMENT_URI": lambda version: str(version.get("deploymentUri", "")),
            "STATE": lambda version: str(version.get("state", "")),
        },
    )


@command
def describe(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.get(_name(service, options)), options.format)
    return SUCCEEDED


@command
def delete(service: Service, options: argparse.Namespace) -> int:
    name = _name(service, options)
    finished(service, service.delete(name), quiet=options.quiet)
    tell(f"deleted {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def set_default(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.post(f"{_name(service, options)}:setDefault", {}), options.format)
    return SUCCEEDED


@command
def update(service: Service, options: argparse.Namespace) -> int:
    operation = relabelled(service, _name(service, options), options)
    print_resource(finished(service, operation, quiet=options.quiet), options.format)
    return SUCCEEDED


def _name(service: Service, options: argparse.Namespace) -> str:
    return version_name(service, options.model, options.version)


def _described(options: argparse.Namespace, version: str) -> dict[str, Any]:
    """The Version that a file and flags describe; a flag hides the field of the file."""
    body = read_object(options.config, "--config", "Version") if options.config else {}
    put(body, "name", version)
    put(body, "deploymentUri", options.origin)
    put(body, "description", options.description)
    put(body, "labels", options.labels)
    put(body, "runtimeVersion", options.runtime_version)
    put(body, "framework", options.framework and options.framework.upper().replace("-", "_"))
    put(body, "pythonVersion", options.python_version)
    put(body, "machineType", options.machine_type)
    origin = spelling(body, "deploymentUri")
    if not body.get(origin):
        raise WrongCall("--origin: the folder of the SavedModel is needed here, or as deploymentUri in --config")
    if isinstance(body[origin], str):
        body[origin] = absolute(body[origin])
    return body
