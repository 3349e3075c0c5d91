"""`batchpredict jobs submit …`: a job is created once, whatever happens to the call."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from batchpredict.cli import training_fields
from batchpredict.cli.fields import name_model, override, put, spelling
from batchpredict.cli.remote import watch
from batchpredict.cli.remote.connection import Interrupted, Refused, Service
from batchpredict.cli.remote.names import job_name, model_name, version_name
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.render import print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.cli.training_fields import packed
from batchpredict.errors import WrongCall
from batchpredict.launch import INTERRUPTED, SUCCEEDED

Document = dict[str, Any]

# A create whose answer was lost is sent again after so many seconds each.
_WAITS = (0.5, 1.0, 2.0, 4.0)
_INPUTS = ("predictionInput", "trainingInput")


@command
def submit(service: Service, options: argparse.Namespace) -> int:
    return _submit(service, options, _prediction(service, options))


@command
def submit_training(service: Service, options: argparse.Namespace) -> int:
    document = training_fields.read_documents(options)
    # What is packed for the job has to be there as long as the job is.
    if options.package_path and not training_fields.staging(document, options)[0]:
        raise WrongCall("--package-path: needs --staging-bucket or --job-dir, to put the package there")
    with packed(document, options) as packages:
        return _submit(service, options, _training(document, options, packages))


def _submit(service: Service, options: argparse.Namespace, document: Document) -> int:
    name = job_name(service, options.job_id)
    if options.validate_only:
        service.post(f"{service.parent}/jobs", document, validateOnly="true")
        tell(f"{options.job_id} could be run; nothing was created", quiet=options.quiet)
        return SUCCEEDED
    try:
        job = create(service, name, document)
    except KeyboardInterrupt:
        tell(
            f"batchpredict {options.command}: stopped; {watch.advice(options.job_id, 'describe')} if it was created"
        )
        return INTERRUPTED
    if options.wait or options.stream_logs:
        tell(f"{options.job_id} was submitted", quiet=options.quiet)
        return watch.follow(service, name, options, with_logs=options.stream_logs)
    print_resource(job, options.format)
    tell(f"{options.job_id} was submitted; {watch.advice(options.job_id, 'describe')}", quiet=options.quiet)
    return SUCCEEDED


def create(service: Service, name: str, document: Document) -> Document:
    """Create a job; the Job. A call whose answer was lost is made again, and a job that it made already is ours.

    Raises:
      Refused: the service does not want it; a job of this id that is another one, too.
      Unreachable: nobody answers; the job was not created, or nobody knows.
    """
    parent = name.rpartition("/jobs/")[0]
    unknown: Interrupted | None = None
    for wait in (*_WAITS, None):
        try:
            return service.post(f"{parent}/jobs", document)
        except Interrupted as error:
            unknown = error
        except Refused as error:
            if error.code in (502, 503, 504):
                # A proxy may have given up on a service that went on.
                unknown = Interrupted(str(error))
            elif error.status == "ALREADY_EXISTS":
                return _existing(service, name, document, error, ours=unknown is not None)
            else:
                raise
        if wait is not None:
            time.sleep(wait)
    assert unknown is not None
    raise Interrupted(f"{unknown}; whether the job was created is not known: submit it again, under the same id")


def _existing(service: Service, name: str, document: Document, error: Refused, *, ours: bool) -> Document:
    """The job that has the id already, if an earlier try of this call has made it."""
    found = service.get(name)
    same = all(
        _content(found, field) == _content(document, field) for field in ("predictionInput", "trainingInput")
    )
    if same and ours:
        return found
    what = "it is the same job" if same else "it is another job"
    job_id = name.rpartition("/")[2]
    raise Refused(
        error.code,
        error.status,
        f"a job '{job_id}' exists already ({what}, {found.get('state')}), and an id is used once; "
        f"{watch.advice(job_id, 'describe')}",
    )


def _content(document: Mapping[str, Any], field: str) -> Any:
    """A field of a job without what is not set in it: the service gives an input back as it came."""
    found = document.get(spelling(dict(document), field))
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if value is not None}


def _training(document: Document, options: argparse.Namespace, packages: list[str]) -> Document:
    put(document, "jobId", options.job_id)
    source = training_fields.override(document, options)
    if packages:
        put(source, "packageUris", packages)
    name = spelling(source, "packageUris")
    if isinstance(source.get(name), list):
        source[name] = [absolute(url) if isinstance(url, str) else url for url in source[name]]
    _make_absolute(source, "jobDir")
    return _with_more(document, options)


def _prediction(service: Service, options: argparse.Namespace) -> Document:
    document: Document = {}
    if options.job:
        from batchpredict.launch import read_document

        document = read_document(options.job)
    put(document, "jobId", options.job_id)
    source = override(document, options)
    if source is None:
        return document
    _name_model(service, source, options)
    _make_absolute(source, "uri", "outputPath")
    name = spelling(source, "inputPaths")
    if isinstance(source.get(name), list):
        paths = source[name]
        source[name] = [absolute(path, pattern=True) if isinstance(path, str) else path for path in paths]
    return _with_more(document, options)


def _with_more(document: Document, options: argparse.Namespace) -> Document:
    if options.labels is not None:
        document["labels"] = options.labels
    put(document, "webhook", options.webhook)
    return document


def _name_model(service: Service, source: Document, options: argparse.Namespace) -> None:
    if options.model is not None and options.model_dir is not None:
        raise WrongCall("--model-dir: not with --model: a job has one model")
    if options.version is not None and options.model is None:
        raise WrongCall("--version: needs --model")
    if options.version is not None:
        name_model(source, "versionName", version_name(service, options.model, options.version, "--version"))
    elif options.model is not None:
        name_model(source, "modelName", model_name(service, options.model))


def _make_absolute(source: Document, *fields: str) -> None:
    for field in fields:
        name = spelling(source, field)
        if isinstance(source.get(name), str):
            source[name] = absolute(source[name])
