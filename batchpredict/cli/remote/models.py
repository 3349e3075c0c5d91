"""`batchpredict models …`"""

from __future__ import annotations

import argparse

from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.labels import relabelled
from batchpredict.cli.remote.names import model_name
from batchpredict.cli.remote.operations import finished
from batchpredict.cli.remote.render import last_part, print_resource, tell, value_at
from batchpredict.cli.remote.running import command
from batchpredict.launch import SUCCEEDED


@command
def create(service: Service, options: argparse.Namespace) -> int:
    name = model_name(service, options.model, "MODEL")
    parent, _, model = name.rpartition("/models/")
    wishes = {"description": options.description, "regions": options.regions, "labels": options.labels}
    body = {"name": model, **{field: value for field, value in wishes.items() if value is not None}}
    print_resource(service.post(f"{parent}/models", body), options.format)
    tell(f"created {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def list_models(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{service.parent}/models",
        items="models",
        name=lambda model: str(model["name"]),
        columns={
            "NAME": lambda model: last_part(model.get("name")),
            "DEFAULT_VERSION_NAME": lambda model: last_part(value_at(model, "defaultVersion.name")),
        },
    )


@command
def describe(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.get(model_name(service, options.model, "MODEL")), options.format)
    return SUCCEEDED


@command
def delete(service: Service, options: argparse.Namespace) -> int:
    name = model_name(service, options.model, "MODEL")
    finished(service, service.delete(name), quiet=options.quiet)
    tell(f"deleted {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def update(service: Service, options: argparse.Namespace) -> int:
    operation = relabelled(service, model_name(service, options.model, "MODEL"), options)
    print_resource(finished(service, operation, quiet=options.quiet), options.format)
    return SUCCEEDED
