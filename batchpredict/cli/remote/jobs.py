"""`batchpredict jobs list`, `describe`, `cancel` and `update`."""

from __future__ import annotations

import argparse

from batchpredict.cli.remote import listing
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.labels import relabelled
from batchpredict.cli.remote.names import job_name
from batchpredict.cli.remote.render import print_resource, tell
from batchpredict.cli.remote.running import command
from batchpredict.launch import SUCCEEDED


@command
def list_jobs(service: Service, options: argparse.Namespace) -> int:
    return listing.show(
        service,
        options,
        collection=f"{service.parent}/jobs",
        items="jobs",
        name=lambda job: f"{service.parent}/jobs/{job['jobId']}",
        columns={
            "JOB_ID": lambda job: str(job.get("jobId", "")),
            "STATUS": lambda job: str(job.get("state", "")),
            "CREATED": lambda job: str(job.get("createTime", "")),
        },
    )


@command
def describe(service: Service, options: argparse.Namespace) -> int:
    print_resource(service.get(job_name(service, options.job_id)), options.format)
    return SUCCEEDED


@command
def cancel(service: Service, options: argparse.Namespace) -> int:
    name = job_name(service, options.job_id)
    service.post(f"{name}:cancel", {})
    tell(f"{options.job_id} is being cancelled", quiet=options.quiet)
    return SUCCEEDED


@command
def update(service: Service, options: argparse.Namespace) -> int:
    print_resource(relabelled(service, job_name(service, options.job_id), options), options.format)
    return SUCCEEDED
