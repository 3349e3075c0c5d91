"""`batchpredict versions …`"""

from __future__ import annotations

import argparse

from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.labels import relabelled
from batchpredict.cli.remote.names import model_name, version_name
from batchpredict.cli.remote.operations import finished
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.render import last_part, print_json, tell
from batchpredict.cli.remote.running import command
from batchpredict.launch import SUCCEEDED


@command
def create(service: Service, options: argparse.Namespace) -> int:
    name = _name(service, options)
    parent, _, version = name.rpartition("/versions/")
    wishes = {
        "description": options.description,
        "labels": options.labels,
        "runtimeVersion": options.runtime_version,
        "framework": options.framework and options.framework.upper().replace("-", "_"),
        "pythonVersion": options.python_version,
        "machineType": options.machine_type,
    }
    body = {"name": version, "deploymentUri": absolute(options.origin)}
    body |= {field: value for field, value in wishes.items() if value is not None}
    operation = service.post(f"{parent}/versions", body)
    if options.no_wait:
        print_json(operation)
        return SUCCEEDED
    print_json(finished(service, operation, quiet=options.quiet))
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
    print_json(service.get(_name(service, options)))
    return SUCCEEDED


@command
def delete(service: Service, options: argparse.Namespace) -> int:
    name = _name(service, options)
    finished(service, service.delete(name), quiet=options.quiet)
    tell(f"deleted {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def set_default(service: Service, options: argparse.Namespace) -> int:
    print_json(service.post(f"{_name(service, options)}:setDefault", {}))
    return SUCCEEDED


@command
def update(service: Service, options: argparse.Namespace) -> int:
    operation = relabelled(service, _name(service, options), options)
    print_json(finished(service, operation, quiet=options.quiet))
    return SUCCEEDED


def _name(service: Service, options: argparse.Namespace) -> str:
    return version_name(service, options.model, options.version)
