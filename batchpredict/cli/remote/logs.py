"""The log of a job, line after line, across whatever interrupts the connection."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from batchpredict.cli.remote.connection import Refused, Service, Unreachable
from batchpredict.cli.remote.names import job_name
from batchpredict.cli.remote.patience import Patience
from batchpredict.cli.remote.render import plain, tell
from batchpredict.cli.remote.running import command
from batchpredict.launch import SUCCEEDED

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})

Line = Mapping[str, Any]


@command
def stream(service: Service, options: argparse.Namespace) -> int:
    for line in lines(service, job_name(service, options.job_id), options):
        show(line, options, as_json=options.format == "json")
    return SUCCEEDED


def lines(service: Service, name: str, options: argparse.Namespace) -> Iterator[Line]:
    """Every line of a job's log, as it is written, until the job has ended and its log is read.

    Where its answer ended before the job did, the service is asked again after `options.polling_interval` seconds.
    """
    after, waiting = 0, False
    patience = Patience()
    while True:
        try:
            # Asked first: what the job writes before it ends is then in the answer that follows.
            job = service.get(name)
            ended = job.get("state") in ENDED
            if job.get("state") == "QUEUED" and not waiting:
                waiting = True
                tell(f"{where(job)}; its log begins when a worker has it", quiet=options.quiet)
            for line in service.lines(f"{name}:logs", follow="" if ended else "true", after=after):
                after = max(after, int(line.get("number", 0)))
                yield line
            patience.met()
        except (Unreachable, Refused) as error:
            patience.lost(error)
        else:
            if ended:
                return
        time.sleep(options.polling_interval)


def where(job: Mapping[str, Any]) -> str:
    """Where a job that does not run yet, or not any more, is."""
    position = job.get("jobPosition")
    return f"{job.get('jobId')} is {job.get('state')}" + (f", at place {position} of its queue" if position else "")


def show(line: Line, options: argparse.Namespace, *, as_json: bool = False) -> None:
    """Print a line as gcloud does: severity, time, task and text, with tabs between."""
    if options.task_name and line.get("task") != options.task_name:
        return
    if as_json:
        print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    head = f"{line.get('severity', 'INFO')}\t{_time(str(line.get('timestamp', '')))}\t{line.get('task', '')}\t"
    text = str(line.get("message", "")).rstrip("\n")
    parts = text.split("\n") or [""]
    if options.allow_multiline_logs:
        print("\n".join([f"{head}\t{plain(parts[0])}", *map(plain, parts[1:])]), flush=True)
    else:
        for part in parts:
            print(f"{head}\t{plain(part)}", flush=True)


def _time(text: str) -> str:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return found.strftime("%Y-%m-%d %H:%M:%S %z")
