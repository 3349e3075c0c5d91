"""`batchpredict jobs submit …`: a job is created once, whatever happens to the call."""

from __future__ import annotations

import argparse

from batchpredict.cli import training_fields
from batchpredict.cli.fields import put, spelling
from batchpredict.cli.remote import watch
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.creating import Document, Kind, create
from batchpredict.cli.remote.names import job_name
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.prediction_fields import make_absolute, put_more, put_prediction
from batchpredict.cli.remote.render import print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.cli.training_fields import packed
from batchpredict.errors import WrongCall
from batchpredict.launch import INTERRUPTED, SUCCEEDED

_JOB = Kind(
    "job",
    ("predictionInput", "trainingInput"),
    again="submit it again, under the same id",
    taken="an id is used once",
)


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
        job = create(service, _JOB, name, document)
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


def _training(document: Document, options: argparse.Namespace, packages: list[str]) -> Document:
    put(document, "jobId", options.job_id)
    source = training_fields.override(document, options)
    if packages:
        put(source, "packageUris", packages)
    name = spelling(source, "packageUris")
    if isinstance(source.get(name), list):
        source[name] = [absolute(url) if isinstance(url, str) else url for url in source[name]]
    make_absolute(source, "jobDir")
    return put_more(document, options)


def _prediction(service: Service, options: argparse.Namespace) -> Document:
    document: Document = {}
    if options.job:
        from batchpredict.launch import read_document

        document = read_document(options.job)
    put(document, "jobId", options.job_id)
    if put_prediction(service, document, options) is None:
        return document
    return put_more(document, options)
