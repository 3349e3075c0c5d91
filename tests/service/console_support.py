"""A service with its console, on a port of its own: a real store, real access rules, a real server."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import support
from fastapi import FastAPI
from service.rest_support import serving

from batchpredict import storage
from batchpredict.service.access import RootedPaths, ServiceAccess, sha256_of
from batchpredict.service.console import console
from batchpredict.service.queue.lifecycle import Begin, Fail, Succeed
from batchpredict.service.rest.job_methods import JobMethods
from batchpredict.service.rest.watch_methods import WatchMethods
from batchpredict.service.settings import Settings, Token
from batchpredict.service.store import NewJob, Store, StoredJob, open_store
from batchpredict.service.store.watching import EpochReport, NewWatch, Note, StoredEpoch, StoredWatch
from batchpredict.service.validation import JobCheck

PROJECT = "shop"
ANN, BOB, EVE = "token-of-ann", "token-of-bob", "token-of-eve"
"""Ann may do everything, Bob looks on in the project, Eve may do nothing in it."""

_MEMBERS = {ANN: "user:ann@x.org", BOB: "user:bob@x.org", EVE: "user:eve@x.org"}


@dataclass
class World:
    """A store with a console before it.

    Attributes:
      root: the folder that jobs may use; it holds a model and a file of one line.
      app: what the server serves.
      clients: to be closed at the end.
      url: of the server, without a slash at its end.
    """

    store: Store
    access: ServiceAccess
    root: str
    app: FastAPI
    url: str = ""
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, token: str = "") -> httpx.Client:
        """A client that sends a token in its header."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._kept(httpx.Client(base_url=self.url, headers=headers, verify=False))

    def signed_in(self, token: str) -> httpx.Client:
        """A client that has gone through the sign-in page, as a browser does."""
        client = self._kept(httpx.Client(base_url=self.url, follow_redirects=True, verify=False))
        page = client.get("/console/sign-in")
        fields = {"token": token, "next": "/console", "form_token": form_token(page)}
        answer = client.post("/console/sign-in", data=fields, headers=origin(self.url))
        assert answer.status_code == 200, answer.text
        return client

    def _kept(self, client: httpx.Client) -> httpx.Client:
        self.clients.append(client)
        return client

    def job(self, job_id: str, project: str = PROJECT, **changes: Any) -> StoredJob:
        """A queued job."""
        asked = {
            "uri": f"{self.root}/model",
            "inputPaths": [f"{self.root}/in*.json"],
            "dataFormat": "TEXT",
            "outputPath": f"{self.root}/{job_id}",
            "region": "local",
            **changes.pop("asked", {}),
        }
        settings = {"creator": "user:ann@x.org", **changes}
        return self.store.create_job(NewJob(project, job_id, {"predictionInput": asked}, **settings))

    def watch(self, watch_id: str, project: str = PROJECT, **changes: Any) -> StoredWatch:
        """A watch that nobody leads."""
        asked = {
            "uri": f"{self.root}/model",
            "inputPaths": [f"{self.root}/arriving/*.json"],
            "dataFormat": "TEXT",
            "outputPath": f"{self.root}/{watch_id}",
            "region": "local",
            **changes.pop("asked", {}),
        }
        document = {"predictionInput": asked, **changes.pop("document", {})}
        settings = {"creator": "user:ann@x.org", **changes}
        return self.store.create_watch(NewWatch(project, watch_id, document, **settings))

    def lead(self, watch_id: str, *epochs: StoredEpoch, last: int = 0, notes: Sequence[Note] = ()) -> int:
        """A worker leads a watch and says how its epochs stand; the generation of its lease."""
        self.store.lead("worker-1", timedelta(minutes=5), 100)
        watch = self.store.watch(PROJECT, watch_id)
        generation = watch.leading.generation
        self.store.report_epochs(watch.number, generation, EpochReport(last, epochs), notes)
        for one in epochs:
            if one.job_id:
                self.store.report_epoch_job(watch.number, generation, one.epoch, one.job_id)
        return generation

    def run(
        self,
        job_id: str,
        project: str = PROJECT,
        *,
        output: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
        log: Sequence[str] = (),
    ) -> int:
        """A worker takes a queued job and begins; the generation of its lease."""
        claimed = self.store.claim(project, job_id, "worker-1", timedelta(minutes=5), 2)
        assert claimed is not None
        generation = claimed.standing.generation
        self.store.tell(project, job_id, Begin(generation), output, progress)
        self.say(job_id, generation, *log)
        return generation

    def say(self, job_id: str, generation: int, *lines: str) -> None:
        now = self.store.now()
        said = [(now, "INFO", "service", line) for line in lines]
        if said:
            self.store.append_log(PROJECT, job_id, generation, said)

    def end(
        self,
        job_id: str,
        generation: int,
        *,
        error: str = "",
        output: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> None:
        event = Fail(generation, error) if error else Succeed(generation)
        self.store.tell(PROJECT, job_id, event, output, progress)


@contextlib.contextmanager
def world(folder: str, *, open_to_all: bool = False) -> Iterator[World]:
    """A service in a folder; with `open_to_all` nobody is asked for a token."""
    tokens = () if open_to_all else tuple(Token(member, sha256_of(token)) for token, member in _MEMBERS.items())
    store = open_store(f"{folder}/service.db")
    access = ServiceAccess(Settings(tokens=tokens, admins=("user:ann@x.org",)), store)
    root = storage.canonical(f"{folder}/data")
    shutil.copytree(support.model("double"), f"{root}/model")
    with open(f"{root}/in.json", "w", encoding="utf-8") as file:
        file.write('{"x": 1}\n')
    paths = RootedPaths([root])
    app = FastAPI(openapi_url=None)
    made = World(store, access, root, app)
    policy = {"bindings": [{"role": "roles/ml.viewer", "members": ["user:bob@x.org"]}]}
    store.set_policy(f"projects/{PROJECT}", policy, None)
    check = JobCheck(store, access, paths)
    methods = JobMethods(store, access, check, lambda url: url)
    watch_methods = WatchMethods(store, access, check.watch, lambda url: url)
    app.include_router(console(store, access, paths, methods, watch_methods))
    with serving(app) as url:
        made.url = url
        try:
            yield made
        finally:
            for client in made.clients:
                client.close()
            store.close()


def origin(url: str) -> dict[str, str]:
    """What a browser says of where a form was sent from."""
    return {"origin": url}


_FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


def form_token(page: httpx.Response) -> str:
    """What a form of a page has to carry."""
    found = _FORM_TOKEN.search(page.text)
    assert found, page.text
    return found[1]
