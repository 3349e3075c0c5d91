"""A registry over a real store, real roots and real SavedModels."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import support

from batchpredict.job import Job
from batchpredict.models import look
from batchpredict.service.access import Caller, RootedPaths, ServiceAccess
from batchpredict.service.registry import Registry, ResourceExists
from batchpredict.service.registry.pinning import Pinned, resolve
from batchpredict.service.settings import Settings
from batchpredict.service.store import Store, open_store
from batchpredict.service.validation import JobCheck

PROJECT = "shop"
ANN = Caller("user:ann@x.org")
BOB = Caller("user:bob@x.org")

Document = dict[str, Any]


def inspect_here(uri: str, go_on: Callable[[], None]) -> Document:
    """What the process that inspects a model does, in this one: TensorFlow is imported once for all tests."""
    del go_on
    return look(uri).to_dict()


@dataclass
class World:
    """A registry, and what it stands on.

    Attributes:
      root: folder below which models and jobs may be.
      data: the service's own.
    """

    folder: str
    store: Store
    paths: RootedPaths
    access: ServiceAccess
    registry: Registry

    @property
    def root(self) -> str:
        return os.path.join(self.folder, "root")

    @property
    def data(self) -> str:
        return os.path.join(self.folder, "data")

    @property
    def check(self) -> JobCheck:
        return JobCheck(self.store, self.access, self.paths)

    def model_folder(self, name: str = "double", called: str = "model") -> str:
        """A copy below the root of a model of the test data."""
        target = os.path.join(self.root, called)
        shutil.copytree(support.model(name), target)
        return target

    def place(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def create_model(self, name: str = "census", **fields: Any) -> Document:
        return self.registry.create_model(PROJECT, {"name": name, **fields}, ANN.member)

    def create_version(self, uri: str, name: str = "v1", model: str = "census", **fields: Any) -> Document:
        """Ask for a version; the Operation."""
        body = {"name": name, "deploymentUri": uri, **fields}
        return self.registry.create_version(PROJECT, model, body, ANN.member)

    def ended(self, operation: Document) -> Document:
        """An operation when it is done."""
        name = operation["name"].rpartition("/")[2]

        def done() -> Document | None:
            found = self.registry.operation(PROJECT, name)
            return found if found.get("done") else None

        found: Document = support.wait_until(done, what=f"the end of {name}")
        return found

    def ready_version(self, uri: str = "", name: str = "v1", model: str = "census") -> Document:
        """A version that is READY, of a model that is made if it is not there; the Version."""
        with contextlib.suppress(Exception):
            self.create_model(model)
        ended = self.ended(self.create_version(uri or self.model_folder(called=f"{model}_{name}"), name, model))
        assert "error" not in ended, ended
        return self.registry.version(PROJECT, model, name)

    def uri_of(self, version: str = "v1", model: str = "census") -> str:
        """Folder of the copy of a version's files."""
        return self.store.version(PROJECT, model, version).uri

    def copies(self) -> list[str]:
        """Folders of copies that are on the disk."""
        folder = os.path.join(self.data, "models", "copies")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder)) if os.path.isdir(folder) else []

    def index(self) -> list[str]:
        folder = os.path.join(self.data, "models", "index")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def job(self, **fields: Any) -> Job:
        """A job whose input and output are below the root."""
        inputs = self.place("in.txt")
        if not os.path.exists(inputs):
            support.write(inputs, ["1.0", "2.0"])
        source = {
            "inputPaths": [inputs],
            "outputPath": self.place("out"),
            "dataFormat": "TEXT",
            "region": "local",
            **fields,
        }
        return Job.submitted({"jobId": "test_job", "predictionInput": source})

    def resolve(self, *, caller: Caller = ANN, project: str = PROJECT, **fields: Any) -> Pinned:
        job = self.job(**fields)
        return resolve(job, project, caller, store=self.store, access=self.access, paths=self.paths)


@contextlib.contextmanager
def world(folder: Any, *, database: str = "", started: bool = True, **options: Any) -> Iterator[World]:
    """A registry whose data are in a folder, and in a database if it is not in a file there.

    Its threads run unless it is not `started`.
    """
    folder = str(folder)
    root, data = os.path.join(folder, "root"), os.path.join(folder, "data")
    for path in (root, data):
        os.makedirs(path, exist_ok=True)
    store = open_store(database or os.path.join(data, "batchpredict.db"))
    paths = RootedPaths([root], [data])
    options.setdefault("lease", timedelta(seconds=3))
    options.setdefault("inspecting", inspect_here)
    registry = Registry(store, paths, data, **options)
    if started:
        registry.start()
    try:
        yield World(folder, store, paths, ServiceAccess(Settings(), store), registry)
    finally:
        registry.close()
        store.close()


def race(create: Callable[[], object]) -> list[str]:
    """What becomes of eight creates of one name at once: "created" or "exists", sorted."""
    outcomes: list[str] = []

    def one() -> None:
        try:
            create()
            outcomes.append("created")
        except ResourceExists:
            outcomes.append("exists")

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)
