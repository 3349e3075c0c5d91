"""A model at a URL comes to the machine once, whole, and again when it has changed."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec
import pytest

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.models import fetch
from batchpredict.models.fetch import Cleaned, cache_folder, clean_cache, fetch_model, model_files

FETCH = "import sys; from batchpredict.models.fetch import fetch_model; print(fetch_model(*sys.argv[1:]))"


class ModelServer(http.server.ThreadingHTTPServer):
    """A folder over HTTP that remembers which files were sent, and can hold one back."""

    def __init__(self, folder: str) -> None:
        self.sent: list[str] = []
        self.held = ""
        self.asked = threading.Event()
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), functools.partial(_Requests, directory=folder))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is what some tests are about."""


class _Requests(http.server.SimpleHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        if self.server.held and self.path.endswith(self.server.held):
            self.server.asked.set()
            self.server.released.wait(60)
        super().do_GET()
        self.server.sent.append(self.path)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Any, testdata: str) -> str:
    """A copy of a model, to be served and changed."""
    shutil.copytree(os.path.join(testdata, "models", "double"), tmp_path / "served" / "model")
    return str(tmp_path / "served" / "model")


@pytest.fixture
def server(folder: str) -> Iterator[ModelServer]:
    with ModelServer(os.path.dirname(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(folder: str) -> Iterator[str]:
    """The model in an object store."""
    fs = fsspec.filesystem("memory")
    name = f"models-{uuid.uuid4().hex}"
    fs.put(folder, f"/{name}", recursive=True)
    yield f"memory://{name}"
    fs.rm(f"/{name}", recursive=True)


def fetching(url: str, cache: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FETCH, url, cache], stdout=subprocess.PIPE, text=True)


def files_in(folder: str) -> dict[str, bytes]:
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def test_processes_that_ask_together_fetch_it_once(server: ModelServer, folder: str, tmp_path: Any) -> None:
    processes = [fetching(server.url, str(tmp_path / "cache")) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(answers) == 1
    assert files_in(answers.pop()) == files_in(folder)
    files = [path for path in server.sent if not path.endswith(("/", "model", "variables", "assets"))]
    assert sorted(files) == sorted(f"/model/{name}" for name in files_in(folder))


def test_threads_that_ask_together_get_one_whole_copy(bucket: str, folder: str, tmp_path: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: fetch_model(bucket, str(tmp_path)), range(8)))
    assert len(answers) == 1
    assert files_in(answers.pop()) == files_in(folder)


def test_an_interrupted_copy_is_never_used(server: ModelServer, folder: str, tmp_path: Any) -> None:
    cache = str(tmp_path / "cache")
    server.held = "variables.index"
    victim = fetching(server.url, cache)
    assert server.asked.wait(60)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    server.held = ""
    server.released.set()
    left = os.listdir(os.path.join(cache, "models"))
    assert any(os.path.isdir(os.path.join(cache, "models", name)) for name in left)
    fetched = fetch_model(server.url, cache)
    assert os.path.basename(fetched) not in left
    assert files_in(fetched) == files_in(folder)


@pytest.fixture
def double(folder: str) -> Iterator[storage.Double]:
    """The model in a store that fails as it is told, at double://model."""
    store = storage.Double()
    for name, data in files_in(folder).items():
        store.put(f"double://model/{name}", data)
    with store.mounted():
        yield store


def copies(cache: Any) -> list[str]:
    return [name for name in os.listdir(cache / "models") if not name.endswith((".lock", ".used"))]


@pytest.mark.parametrize("text", ["connection lost", "part-00416: 404 not found", ""])
def test_a_copy_that_failed_leaves_nothing_behind(double: storage.Double, tmp_path: Any, text: str) -> None:
    double.fail("download", OSError(text), name="variables.index", after=True)
    with pytest.raises(ModelUnusable) as caught:
        fetch_model("double://model", str(tmp_path))
    assert str(caught.value) == f"uri: the model at 'double://model' cannot be read: {text or 'OSError'}".rstrip()
    assert copies(tmp_path) == []
    assert fetch_model("double://model", str(tmp_path))


class TestASourceThatChangesWhileItIsCopied:
    """Half of one model and half of another are no model."""

    def change(self, double: storage.Double, folder: str, times: int) -> list[bytes]:
        """Let another model be written when the first file of it has been copied; the list has their graphs."""
        graphs = [b"graph 0"]
        double.put("double://model/saved_model.pb", graphs[0])

        def replaced(operation: str, url: str) -> None:
            if operation == "download" and url.endswith("saved_model.pb") and len(graphs) <= times:
                graphs.append(b"graph %d" % len(graphs))
                double.put("double://model/saved_model.pb", graphs[-1])
                double.put("double://model/variables/variables.index", graphs[-1])

        double.after = replaced
        return graphs

    def test_is_copied_again(self, double: storage.Double, folder: str, tmp_path: Any) -> None:
        graphs = self.change(double, folder, 1)
        fetched = files_in(fetch_model("double://model", str(tmp_path)))
        assert fetched["saved_model.pb"] == fetched["variables/variables.index"] == graphs[-1] == b"graph 1"
        assert len(copies(tmp_path)) == 1

    def test_is_an_error_if_it_does_not_stop(self, double: storage.Double, folder: str, tmp_path: Any) -> None:
        self.change(double, folder, 1000)
        with pytest.raises(ModelUnusable, match="'double://model' changes while it is copied"):
            fetch_model("double://model", str(tmp_path))
        assert copies(tmp_path) == []

    def test_a_file_that_goes_away_is_a_change(self, double: storage.Double, tmp_path: Any) -> None:
        double.put("double://model/assets/old", b"1")

        def removed(operation: str, url: str) -> None:
            if operation == "download":
                double.delete("double://model/assets", recursive=True)
                double.before = lambda *_: None

        double.before = removed
        assert "assets/old" not in files_in(fetch_model("double://model", str(tmp_path)))


class TestTheBound:
    """Of the copies on this machine those go first that were not asked for longest; never one that is in use."""

    @pytest.fixture
    def models(self, double: storage.Double) -> list[str]:
        for name in "abc":
            double.put(f"double://{name}/saved_model.pb", name.encode() * 1000)
        return [f"double://{name}" for name in "abc"]

    def fetched(self, models: list[str], cache: Any) -> list[str]:
        """Copies that were made by processes that have ended, the first of them longest ago."""
        paths = [fetch_model(model, str(cache)) for model in models]
        forget()
        for age, path in enumerate(reversed(paths)):
            os.utime(f"{path}.used", (time.time() - 100 * (age + 1),) * 2)
        return paths

    def test_the_oldest_goes_when_a_new_one_comes(
        self, models: list[str], double: storage.Double, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BATCHPREDICT_CACHE_BYTES", "2500")
        first, second = self.fetched(models[:2], tmp_path)
        fetch_model(models[0], str(tmp_path))
        forget()
        third = fetch_model(models[2], str(tmp_path))
        assert sorted(copies(tmp_path)) == sorted(os.path.basename(path) for path in (first, third))
        assert not os.path.exists(f"{second}.lock")

    def test_what_is_used_stays(self, models: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BATCHPREDICT_CACHE_BYTES", "0")
        paths = [fetch_model(model, str(tmp_path)) for model in models]
        assert clean_cache(0, cache=str(tmp_path)) == Cleaned(0, 0)
        assert all(os.path.exists(f"{path}/saved_model.pb") for path in paths)
        forget()
        assert clean_cache(0, cache=str(tmp_path)) == Cleaned(3, 3000)
        assert os.listdir(tmp_path / "models") == []

    def test_another_process_s_copy_stays(self, server: ModelServer, tmp_path: Any) -> None:
        script = FETCH + "; sys.stdout.flush(); sys.stdin.read()"
        command = [sys.executable, "-c", script, server.url, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            path = worker.stdout.readline().strip()
            assert clean_cache(0, cache=str(tmp_path)).models == 0
            assert os.path.isdir(path)
            worker.communicate("")
        assert clean_cache(0, cache=str(tmp_path)).models == 1
        assert not os.path.isdir(path)

    def test_what_a_process_that_died_left_goes(self, models: list[str], tmp_path: Any) -> None:
        (path,) = self.fetched(models[:1], tmp_path)
        os.makedirs(f"{path}.0123abcd/variables")
        assert clean_cache(cache=str(tmp_path)) == Cleaned(0, 0)
        assert copies(tmp_path) == [os.path.basename(path)]

    def test_by_age(self, models: list[str], tmp_path: Any) -> None:
        paths = self.fetched(models, tmp_path)
        assert clean_cache(0, older_than=150, cache=str(tmp_path)).models == 2
        assert copies(tmp_path) == [os.path.basename(paths[-1])]

    def test_nothing_is_there(self, tmp_path: Any) -> None:
        assert clean_cache(0, cache=str(tmp_path / "nothing")) == Cleaned(0, 0)

    def test_a_bound_that_is_no_number_is_said(self, models: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BATCHPREDICT_CACHE_BYTES", "10 GB")
        with pytest.raises(ModelUnusable, match="BATCHPREDICT_CACHE_BYTES: '10 GB' is not a number of bytes"):
            fetch_model(models[0])


def forget() -> None:
    """As when the process that uses the copies ends."""
    while fetch._used:
        os.close(fetch._used.popitem()[1])


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget()


def test_a_changed_model_gets_a_folder_of_its_own(bucket: str, tmp_path: Any) -> None:
    first = fetch_model(bucket, str(tmp_path))
    assert fetch_model(bucket, str(tmp_path)) == first
    fsspec.filesystem("memory").pipe_file(bucket.removeprefix("memory:/") + "/saved_model.pb", b"changed")
    second = fetch_model(bucket, str(tmp_path))
    assert second != first
    assert files_in(second)["saved_model.pb"] == b"changed"
    assert files_in(first)["saved_model.pb"] != b"changed"


def test_a_file_of_the_same_size_is_a_change_too(server: ModelServer, folder: str, tmp_path: Any) -> None:
    first = fetch_model(server.url, str(tmp_path / "cache"))
    os.utime(os.path.join(folder, "saved_model.pb"), (1e9, 1e9))
    assert fetch_model(server.url, str(tmp_path / "cache")) != first


def test_a_store_without_empty_folders_still_gives_the_one_that_tensorflow_wants(tmp_path: Any) -> None:
    fs = fsspec.filesystem("memory")
    name = uuid.uuid4().hex
    fs.pipe_file(f"/{name}/saved_model.pb", b"x")
    assert os.path.isdir(os.path.join(fetch_model(f"memory://{name}", str(tmp_path)), "variables"))
    fs.rm(f"/{name}", recursive=True)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_local_model_is_used_where_it_is(folder: str, tmp_path: Any, form: str) -> None:
    assert fetch_model(form.format(folder), str(tmp_path / "cache")) == folder
    assert not os.path.exists(tmp_path / "cache")


def test_files_of_a_model(folder: str) -> None:
    found = model_files(folder)
    assert [name for name, _, _ in found] == sorted(files_in(folder))
    assert {name: size for name, size, _ in found} == {name: len(data) for name, data in files_in(folder).items()}


class TestNoModel:
    def test_no_folder(self, tmp_path: Any) -> None:
        with pytest.raises(ModelUnusable) as caught:
            model_files(f"{tmp_path}/none")
        assert str(caught.value) == f"uri: '{tmp_path}/none' is not a SavedModel: there is no such folder."

    def test_no_saved_model_in_it(self, tmp_path: Any) -> None:
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(ModelUnusable) as caught:
            model_files(str(tmp_path))
        message = f"uri: '{tmp_path}' is not a SavedModel: there is no saved_model.pb in that folder."
        assert str(caught.value) == message

    @pytest.mark.parametrize("call", [model_files, fetch_model])
    def test_a_protocol_that_nobody_knows(self, call: Any) -> None:
        with pytest.raises(ModelUnusable, match="Protocol not known: nope"):
            call("nope://bucket/model")


class TestCacheFolder:
    def test_is_the_one_that_was_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BATCHPREDICT_CACHE", "/a/cache")
        assert cache_folder() == "/a/cache"

    def test_else_the_user_s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BATCHPREDICT_CACHE", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", "/home/u/caches")
        assert cache_folder() == "/home/u/caches/batchpredict"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "/home/u")
        assert cache_folder() == "/home/u/.cache/batchpredict"

    def test_elsewhere_if_the_user_has_no_home(
        self, bucket: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
        fetched = fetch_model(bucket, str(tmp_path / "file" / "cache"))
        assert fetched.startswith(str(tmp_path / "tmp"))
        assert os.path.exists(os.path.join(fetched, "saved_model.pb"))
