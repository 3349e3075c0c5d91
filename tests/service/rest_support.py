"""A service on a port of its own: a real server over a real store, registry and access rules, and clients of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import support
import uvicorn
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery

from batchpredict.service.access import ServiceAccess
from batchpredict.service.access.paths import RootedPaths
from batchpredict.service.connections import Connection
from batchpredict.service.measures import Measures
from batchpredict.service.queue.lifecycle import Begin, Fail, Succeed
from batchpredict.service.registry.registry import Registry
from batchpredict.service.rest.app import Backend, app
from batchpredict.service.settings import Settings, Token
from batchpredict.service.store import Store, open_store
from batchpredict.service.validation import JobCheck

PROJECT = "shop"
JOBS = f"/v1/projects/{PROJECT}/jobs"

Document = dict[str, Any]


@dataclass
class World:
    """A running service.

    Attributes:
      url: of the server, without a slash at its end.
      folder: below which jobs may read and write; `model` and `inputs` are there.
    """

    store: Store
    url: str
    folder: str
    model: str
    inputs: str
    stopping: threading.Event = field(default_factory=threading.Event)
    built: list[Any] = field(default_factory=list)

    def asked(self, job_id: str, **fields: Any) -> Document:
        """A predictionInput of a job that could run."""
        return {
            "dataFormat": "TEXT",
            "inputPaths": [self.inputs],
            "outputPath": f"{self.folder}/{job_id}",
            "region": "us-central1",
            "uri": self.model,
            **fields,
        }

    def job(self, job_id: str, *, labels: Mapping[str, str] | None = None, **fields: Any) -> Document:
        """The body of a create request."""
        tags = {"labels": dict(labels)} if labels else {}
        return {"jobId": job_id, "predictionInput": self.asked(job_id, **fields), **tags}

    def watch(self, watch_id: str, **fields: Any) -> Document:
        """The body of a create request of a watch; `fields` beside its predictionInput."""
        return {"watchId": watch_id, "predictionInput": self.asked(f"watch-{watch_id}"), **fields}

    def client(self, token: str = "", **settings: Any) -> httpx.Client:
        """A client that knows nothing of the API."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # The certificates that a client trusts by default take longer to read than most requests.
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, verify=False, **settings)

    def ml(self, version: str = "v1") -> Any:
        """google-api-python-client, unpatched. It knows v1 by itself; v1beta1 it builds from our document."""
        settings: Document = {"credentials": AnonymousCredentials(), "cache_discovery": False}
        if version == "v1":
            settings["client_options"] = {"api_endpoint": self.url}
        else:
            settings["discoveryServiceUrl"] = self.url + "/$discovery/rest?version={apiVersion}"
            settings["static_discovery"] = False
        built = discovery.build("ml", version, **settings)
        self.built.append(built)
        return built

    # What a worker does

    def run(self, job_id: str, output: Mapping[str, Any] | None = None, *, log: Sequence[str] = ()) -> int:
        """A worker takes a queued job and begins; the generation of its lease."""
        claimed = self.store.claim(PROJECT, job_id, "worker-1", timedelta(minutes=5), 1)
        assert claimed is not None
        generation = claimed.standing.generation
        self.store.tell(PROJECT, job_id, Begin(generation), output)
        self.say(job_id, generation, *log)
        return generation

    def say(self, job_id: str, generation: int, *lines: str) -> None:
        now = self.store.now()
        if lines:
            self.store.append_log(PROJECT, job_id, generation, [(now, "INFO", "service", line) for line in lines])

    def end(self, job_id: str, generation: int, output: Mapping[str, Any] | None = None, error: str = "") -> None:
        event = Fail(generation, error) if error else Succeed(generation)
        self.store.tell(PROJECT, job_id, event, output)


@contextlib.contextmanager
def world(
    folder: str,
    *,
    tokens: Mapping[str, str] | None = None,
    queue_limit: int | None = None,
    webhook: Any = None,
) -> Iterator[World]:
    """A service in a folder.

    Args:
      tokens: the hash of each member's token; nobody is asked for one without them.
    """
    known = tuple(Token(member, sha256) for member, sha256 in (tokens or {}).items())
    roots = (folder, support.TESTDATA)
    settings = Settings(tokens=known, admins=("user:ann@x.org",), roots=roots, data=f"{folder}/own")
    inputs = os.path.join(folder, "in.json")
    with open(inputs, "w", encoding="utf-8") as file:
        file.write("[" + ", ".join(["0"] * 64) + "]\n")
    store = open_store(f"{folder}/service.db")
    paths = RootedPaths.of(settings)
    access = ServiceAccess(settings, store)
    registry = Registry(store, paths, settings.data)
    registry.start()
    measures = Measures()
    measures.of_store(store)
    made = World(store, "", folder, support.DIGITS_MODEL, inputs)
    check = JobCheck(store, access, paths)
    backend = Backend(
        store=store,
        access=access,
        registry=registry,
        check=check,
        watch_check=check.watch,
        webhook=webhook or (lambda url: url),
        queue_limit=queue_limit,
        account="runner",
        measures=measures,
        stopping=made.stopping,
    )
    try:
        with serving(app(backend)) as url:
            made.url = url
            yield made
            made.stopping.set()
    finally:
        for client in made.built:
            client.close()
        registry.close()
        store.close()


@contextlib.contextmanager
def serving(application: Any, http: type[Connection] = Connection) -> Iterator[str]:
    """An application on a port of this machine, in a thread; its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        config = uvicorn.Config(application, http=http, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def error_of(response: httpx.Response) -> Document:
    """The error that a response carries, whose shape is that of every error."""
    assert response.headers["content-type"].startswith("application/json"), response.text
    document = response.json()
    assert set(document) == {"error"}, document
    error: Document = document["error"]
    assert set(error) <= {"code", "message", "status", "details"}
    assert error["code"] == response.status_code
    assert isinstance(error["message"], str)
    assert error["message"]
    assert error["status"].isupper()
    return error


def violations(error: Document) -> list[tuple[str, str]]:
    """(field, description) of an error's BadRequest."""
    details = [one for one in error["details"] if one["@type"] == "type.googleapis.com/google.rpc.BadRequest"]
    assert len(details) == 1
    return [(one.get("field", ""), one["description"]) for one in details[0]["fieldViolations"]]


def raw(url: str, request: bytes) -> bytes:
    """What a server answers to these very bytes, until it closes the connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def eventually(condition: Any, seconds: float = 60.0) -> Any:
    """What a condition gives once it is true."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "it has not come true"
        time.sleep(0.02)
    return value


def lines(text: str) -> list[Document]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
