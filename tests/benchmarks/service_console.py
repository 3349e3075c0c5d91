"""The console's pages with 100,000 jobs in the table, over HTTP.

    python tests/benchmarks/service_console.py [--jobs 100000] [--databases sqlite,postgresql]

The server is `batchpredict serve --role api` in a process of its own, on the same machine as the client, which asks
for one page after another.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from urllib.parse import quote

import service_store
from measure import BenchmarkFailed
from report import Row, Table, machine
from service_rest import Connection, answered, served
from service_store import PROJECT

from batchpredict.service.store import open_store

PAGE_SECONDS = 0.200
ROUNDS = 200

JOBS = f"/console/projects/{PROJECT}/jobs"

PAGES = {
    "the jobs": JOBS,
    "jobs that failed": f"{JOBS}?state=failed",
    "jobs that are queued": f"{JOBS}?state=queued",
    "jobs that run: none": f"{JOBS}?state=running",
    "a filter for names": f"{JOBS}?filter={quote('jobId:census_00042*')}",
    "a filter for a label, of those that failed": f"{JOBS}?state=failed&filter={quote('labels.team=team7')}",
    "one job": f"{JOBS}/census_0004242",
    "the projects": "/console",
}


def measured(name: str, database: str, jobs: int) -> list[Row]:
    """The figures of one database, which is empty."""
    with tempfile.TemporaryDirectory() as folder:
        # Makes the tables.
        open_store(database).close()
        service_store.fill(database, jobs)
        with served(database, folder) as (port, _):
            # A page in the middle, where a table that is counted through would be slow.
            middle = _middle(port, jobs)
            return [
                answered(f"{name}: {what}", port, path, PAGE_SECONDS, ROUNDS)
                for what, path in {**PAGES, "the jobs, far down": middle}.items()
            ]


def _middle(port: int, jobs: int) -> str:
    """A page of the list that is a hundred pages, or a tenth of all, below the first."""
    connection, path = Connection(port), JOBS
    for _ in range(min(100, jobs // 250)):
        _, page = connection.ask("GET", path)
        older = re.search(rb'rel="next" href="([^"]+)"', page)
        if older is None:
            raise BenchmarkFailed(f"there is no page after {path}")
        path = JOBS + older[1].decode()
    connection.close()
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    print(f"Machine: {machine(os.cpu_count() or 1)}\n")
    rows = []
    for kind in options.databases.split(","):
        with service_store.empty(kind) as database:
            rows += measured(kind, database, options.jobs)
    print(Table(f"The console shows a page at once with {options.jobs:,} jobs in it", rows).markdown())


if __name__ == "__main__":
    main()
