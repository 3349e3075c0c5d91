"""`batchpredict watches …`"""

from __future__ import annotations

import argparse

from batchpredict.cli.fields import name_model, put, spelling
from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.creating import Document, Kind
from batchpredict.cli.remote.creating import create as create_once
from batchpredict.cli.remote.files import read_object
from batchpredict.cli.remote.names import watch_name
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.prediction_fields import put_more, put_prediction
from batchpredict.cli.remote.render import last_part, print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.errors import WrongCall
from batchpredict.launch import INTERRUPTED, SUCCEEDED

_WATCH = Kind(
    "watch",
    ("predictionInput", "newestVersion", "every", "settle", "maxFiles", "maxBytes", "changed", "tries"),
    again="create it again, under the same id",
    taken="an id is of one watch",
)


@command
def create(service: Service, options: argparse.Namespace) -> int:
    name = watch_name(service, options.watch)
    collection, _, watch = name.rpartition("/")
    document = _described(service, options, watch)
    if options.validate_only:
        service.post(collection, document, validateOnly="true")
        tell(f"{watch} could be created; nothing was", quiet=options.quiet)
        return SUCCEEDED
    try:
        created = create_once(service, _WATCH, name, document)
    except KeyboardInterrupt:
        tell(f"batchpredict {options.command}: stopped; {_WATCH.advice(name)} if it was created")
        return INTERRUPTED
    print_resource(created, options.format)
    tell(f"created {name}", quiet=options.quiet)
    return SUCCEEDED


@command
def list_watches(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{service.parent}/watches",
        items="watches",
        name=lambda watch: str(watch["name"]),
        columns={
            "WATCH_ID": lambda watch: str(watch.get("watchId", "")),
            "STATE": lambda watch: str(watch.get("state", "")),
            "EPOCHS": lambda watch: str(watch.get("epochs", "0")),
            "SET_ASIDE": lambda watch: str(watch.get("setAsideEpochs", "0")),
            "CREATED": lambda watch: str(watch.get("createTime", "")),
        },
    )


@command
def epochs(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{watch_name(service, options.watch)}/epochs",
        items="epochs",
        # An epoch has no address of its own; its job has.
        name=lambda epoch: str(epoch.get("job", "")),
        columns={
            "EPOCH": lambda epoch: str(epoch.get("epoch", "")),
            "STATE": lambda epoch: str(epoch.get("state", "")),
            "FILES": lambda epoch: str(epoch.get("files", "")),
            "JOB_ID": lambda epoch: last_part(epoch.get("job")),
            "FAILURES": lambda epoch: str(epoch.get("failures", "0")),
            "CREATED": lambda epoch: str(epoch.get("createTime", "")),
        },
    )


@command
def describe(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.get(watch_name(service, options.watch)), options.format)
    return SUCCEEDED


@command
def pause(service: Service, options: argparse.Namespace) -> int:
    return _told(service, options, "pause", "is paused; a job that is under way comes to its end")


@command
def resume(service: Service, options: argparse.Namespace) -> int:
    return _told(service, options, "resume", "goes on")


@command
def retry(service: Service, options: argparse.Namespace) -> int:
    return _told(service, options, "retry", "takes up what was set aside")


@command
def delete(service: Service, options: argparse.Namespace) -> int:
    name = watch_name(service, options.watch)
    service.delete(name)
    tell(f"deleted {name}", quiet=options.quiet)
    return SUCCEEDED


def _told(service: Service, options: argparse.Namespace, verb: str, done: str) -> int:
    name = watch_name(service, options.watch)
    print_resource(service.post(f"{name}:{verb}", {}), options.format)
    tell(f"{last_part(name)} {done}", quiet=options.quiet)
    return SUCCEEDED


def _described(service: Service, options: argparse.Namespace, watch: str) -> Document:
    """The Watch that a file and flags describe; a flag hides the field of the file."""
    document = read_object(options.job, "--config", "Watch") if options.job else {}
    newest = spelling(document, "newestVersion")
    if document.get(newest) in ("true", "false"):
        # YAML's values are text here; of a watch this is the only one that the service takes as nothing else.
        document[newest] = document[newest] == "true"
    put(document, "watchId", watch)
    source = put_prediction(service, document, options)
    for flag in ("model", "model_dir"):
        if getattr(options, flag) is None:
            continue
        if options.model_base is not None:
            raise WrongCall(f"--model-base: not with --{flag.replace('_', '-')}: a watch has one model")
        document.pop(newest, None)
    if options.model_base is not None and source is not None:
        name_model(source, "uri", absolute(options.model_base))
        put(document, "newestVersion", True)
    for field, seconds in (("every", options.every), ("settle", options.settle)):
        put(document, field, None if seconds is None else f"{seconds:.0f}s")
    put(document, "maxFiles", options.max_files)
    put(document, "maxBytes", options.max_bytes)
    put(document, "changed", options.changed and options.changed.upper())
    put(document, "tries", options.tries)
    return put_more(document, options)
