"""The REST methods of the jobs service over HTTP: creates a second, pages of lists, memory over many requests.

    python tests/benchmarks/service_rest.py [--jobs 100000] [--requests 100000] [--databases sqlite,postgresql]

The server is `batchpredict serve --role api` in a process of its own, on the same machine as the clients. Creates
are whole ones: the model and the input of each job are looked at, and the disk is synced before the answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psutil
from measure import ROOT, BenchmarkFailed
from report import Row, Table, Target, machine, mebibytes

sys.path.insert(0, os.path.join(ROOT, "tests"))

import service_store
from service_store import CLIENTS, CREATES, PROJECT

MODEL = os.path.join(ROOT, "testdata", "digits", "model")
JOBS = f"/v1/projects/{PROJECT}/jobs"
PAGE_SECONDS = 0.050
FILTERED_SECONDS = 0.100
ROUNDS = 300
# What a process may grow by over all requests, after it has warmed up: 180 bytes each.
GROWTH = 16 * 2**20

LISTS = {
    "": PAGE_SECONDS,
    "pageSize=100": PAGE_SECONDS,
    f"filter={quote('state=FAILED')}": FILTERED_SECONDS,
    f"filter={quote('jobId:census_00042*')}": FILTERED_SECONDS,
    f"filter={quote('labels.rare=yes')}": FILTERED_SECONDS,
    f"filter={quote('labels.nobody=has')}": FILTERED_SECONDS,
    f"filter={quote('labels.team=team7 AND state=FAILED')}": FILTERED_SECONDS,
    f"filter={quote('NOT state=SUCCEEDED')}&pageSize=100": FILTERED_SECONDS,
}


class Connection:
    """One connection that is kept open. Knows no more of HTTP than our server writes: we are not measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def ask(self, verb: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer."""
        head = f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._socket.sendall(head.encode() + b"\r\n" + body)
        status = int(self._answers.readline().split()[1])
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self._answers.read(length)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


@contextlib.contextmanager
def served(database: str, folder: str) -> Iterator[tuple[int, psutil.Process]]:
    """The port and the process of a server."""
    with open(os.path.join(folder, "in.json"), "w") as file:
        file.write("[]\n")
    command = [
        sys.executable,
        "-m",
        "batchpredict",
        "serve",
        "--role",
        "api",
        "--port",
        "0",
        "--database",
        database,
    ]
    command += ["--root", folder, "--root", os.path.dirname(MODEL), "--queue-limit", "1000000"]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise BenchmarkFailed(line + process.stderr.read())
            yield int(found[1]), psutil.Process(process.pid)
        finally:
            process.terminate()


def measured(name: str, database: str, jobs: int, requests: int) -> list[Row]:
    """The figures of one database, which is empty."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with served(database, folder) as (port, process):
            rows = [Row(f"{name}: from the command to the first answer", f"{_first(port, started):.2f} s")]
            rows.append(_creates(name, port, folder, "an empty table"))
        service_store.fill(database, jobs)
        with served(database, folder) as (port, process):
            rows.append(_creates(name, port, folder, f"{jobs:,} jobs"))
            rows += [_listed(name, port, query, bound) for query, bound in LISTS.items()]
            rows.append(_memory(name, port, process, folder, requests))
        return rows


def _first(port: int, started: float) -> float:
    connection = Connection(port)
    connection.ask("GET", JOBS)
    connection.close()
    return time.perf_counter() - started


def _body(folder: str, job_id: str) -> bytes:
    asked = {
        "dataFormat": "TEXT",
        "inputPaths": [f"{folder}/in.json"],
        "outputPath": f"{folder}/out/{job_id}",
        "region": "us-central1",
        "uri": MODEL,
        "maxWorkerCount": "10",
    }
    document = {"jobId": job_id, "predictionInput": asked, "labels": {"airflow-version": "v2-10-5"}}
    return json.dumps(document).encode()


def _at_once(port: int, work: Callable[[Connection, int], None]) -> float:
    """Seconds that many clients take, each with a connection of its own."""

    def client(number: int) -> None:
        connection = Connection(port)
        work(connection, number)
        connection.close()

    return service_store.at_once(client)


def _creates(name: str, port: int, folder: str, what: str) -> Row:
    mark = time.time_ns()

    def create(connection: Connection, client: int) -> None:
        for number in range(CREATES // CLIENTS):
            status, answer = connection.ask("POST", JOBS, _body(folder, f"j{mark}_{client}_{number}"))
            if status != 200:
                raise BenchmarkFailed(answer.decode())

    return service_store.creates_row(name, what, _at_once(port, create))


def answered(title: str, port: int, path: str, bound: float, rounds: int = ROUNDS) -> Row:
    """The 99th percentile of many GETs, one after the other, against a bound in seconds."""
    connection, seconds = Connection(port), []
    for _ in range(rounds):
        begun = time.perf_counter()
        status, answer = connection.ask("GET", path)
        seconds.append(time.perf_counter() - begun)
        if status != 200:
            raise BenchmarkFailed(answer.decode())
    connection.close()
    seconds.sort()
    median, late = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    return Row(
        title,
        f"p50 {median * 1000:.1f} ms, p99 {late * 1000:.1f} ms",
        f"{bound * 1000:.0f} ms",
        late / bound,
        Target(1, at_least=False),
    )


def _listed(name: str, port: int, query: str, bound: float) -> Row:
    return answered(f"{name}: list {query or 'the newest 20'}", port, f"{JOBS}?{query}", bound)


def _memory(name: str, port: int, process: psutil.Process, folder: str, requests: int) -> Row:
    """Resident memory after a tenth of the requests, and after all: gets, lists, errors and creates that fail."""
    _, page = (connection := Connection(port)).ask("GET", JOBS)
    connection.close()
    job_id = json.loads(page)["jobs"][0]["jobId"]
    wrong = _body(folder, "1st")
    asked = [
        ("GET", f"{JOBS}/{job_id}", b""),
        ("GET", f"{JOBS}?pageSize=10", b""),
        ("GET", f"{JOBS}/nothing", b""),
        ("POST", JOBS, wrong),
        ("POST", f"{JOBS}?validateOnly=true", _body(folder, "valid")),
    ]

    def ask(connection: Connection, client: int, count: int) -> None:
        for number in range(count):
            # Each has a path of its own, so that whatever is kept by path is seen.
            verb, path, body = asked[number % len(asked)]
            path = path.replace("nothing", f"nothing_{client}_{number}")
            connection.ask(verb, path, body)

    first = requests // 10
    _at_once(port, lambda connection, client: ask(connection, client, first // CLIENTS))
    before = process.memory_info().rss
    seconds = _at_once(port, lambda connection, client: ask(connection, client, (requests - first) // CLIENTS))
    growth = process.memory_info().rss - before
    return Row(
        f"{name}: memory, from request {first:,} to {requests:,}",
        f"{mebibytes(before)} + {growth / 2**20:.1f} MiB, {(requests - first) / seconds:,.0f} requests/s",
        mebibytes(GROWTH),
        growth / GROWTH,
        Target(1, at_least=False),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    print(f"Machine: {machine(os.cpu_count() or 1)}\n")
    rows = []
    for kind in options.databases.split(","):
        with service_store.empty(kind) as database:
            rows += measured(kind, database, options.jobs, options.requests)
    print(Table(f"The service answers at once with {options.jobs:,} jobs in it", rows).markdown())


if __name__ == "__main__":
    main()
