"""Places where hosts meet, for tests: each opens views of one rendezvous, and fails when it is told to."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import anyio
import uvicorn
from service.store_support import new_job
from starlette.applications import Starlette

from batchpredict import storage
from batchpredict.service.measures import Measures
from batchpredict.service.queue.lifecycle import Begin, Lose, Succeed
from batchpredict.service.rest import rendezvous
from batchpredict.service.store import Store, open_store
from batchpredict.training.gang import FolderRendezvous, Rendezvous, ServiceAddress, ServiceRendezvous

PROJECT, JOB = "p", "j"
# Longer than any test.
_LEASE = timedelta(hours=1)


class Meeting(Protocol):
    """One rendezvous, whose store or server can be made to fail."""

    def open(self) -> Rendezvous:
        """Another view of it, as another host has it."""

    def lose_answers(self, count: int) -> None:
        """Each of the next writes takes effect, and its answer is lost on the way back."""

    def be_busy(self, count: int) -> None:
        """The next calls are refused before they take effect, as by a store that is short of breath."""

    def be_slow(self, seconds: float) -> None:
        """From now on every call takes so long."""


_WRITES = ("create_if_absent", "replace_bytes")


def _failing(count: int, calls: Sequence[str], reason: str) -> Callable[[str, str], None]:
    left = [OSError(reason)] * count

    def hook(called: str, url: str) -> None:
        if called in calls and left:
            raise left.pop()

    return hook


class FolderMeeting:
    """In a folder of a double of an object store."""

    def __init__(self, double: storage.Double) -> None:
        self._double = double
        self._url = double.folder()

    def open(self) -> Rendezvous:
        return FolderRendezvous(self._url)

    def lose_answers(self, count: int) -> None:
        self._double.after = _failing(count, _WRITES, "timed out")

    def be_busy(self, count: int) -> None:
        self._double.before = _failing(count, (*_WRITES, "files"), "busy")

    def be_slow(self, seconds: float) -> None:
        self._double.latency = seconds


@dataclass
class Faults:
    """An ASGI application around another, which loses answers, refuses, and waits.

    Attributes:
      lost: answers that are still to be lost, of POST and PUT.
      busy: requests that are still to be refused.
      delay: seconds that every request waits.
      late: bodies of requests with these words wait for `gate`, which a test opens.
      asked: verb of every request, in order.
    """

    application: Any
    lost: int = 0
    busy: int = 0
    delay: float = 0.0
    late: bytes = b""
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["method"])
        if self.delay:
            await anyio.sleep(self.delay)
        if self.busy:
            self.busy -= 1
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        if self.late:
            receive = await self._held_back(receive)
        if self.lost and scope["method"] in ("POST", "PUT"):
            self.lost -= 1
            await self.application(scope, receive, _nowhere)
            # It is begun and not ended: the server can only close the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]})
            return
        await self.application(scope, receive, send)

    async def _held_back(self, receive: Any) -> Any:
        message = await receive()
        if self.late in message["body"]:
            self.late = b""
            while not self.gate.is_set():
                await anyio.sleep(0.01)
        first = [message]

        async def again() -> Any:
            return first.pop() if first else await receive()

        return again


async def _nowhere(message: Any) -> None:
    del message


class ServiceMeeting:
    """In a jobs service that holds one job, on a port that it keeps when it is started again.

    Attributes:
      store: of the service.
      token: of the current lease of the job.
      faults: what fails on the way to it.
    """

    def __init__(self, folder: str) -> None:
        self._database = f"{folder}/service.db"
        self._port = 0
        self.generation = 0
        self.token = ""
        self.faults = Faults(None)
        self.start()
        self.store.create_job(new_job(JOB, PROJECT, document={"trainingInput": {}}))
        self.hold()

    def start(self) -> None:
        self.store: Store = open_store(self._database)
        self.faults.application = Starlette(routes=rendezvous.routes(self.store, Measures()))
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        config = uvicorn.Config(self.faults, log_level="critical", lifespan="off", ws="none", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.store.close()

    def hold(self) -> None:
        """Take the job under the next lease, with a token of its own."""
        claimed = self.store.claim(PROJECT, JOB, "w", _LEASE, 1)
        assert claimed is not None
        self.generation = claimed.standing.generation
        self.token = f"token-{self.generation}"
        self.store.tell(PROJECT, JOB, Begin(self.generation))
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.store.admit(PROJECT, JOB, self.generation, digest)

    def lose(self) -> None:
        """The worker that has the job dies; it waits to be taken by another."""
        self.store.tell(PROJECT, JOB, Lose(self.generation, "it died"))

    def end(self) -> None:
        self.store.tell(PROJECT, JOB, Succeed(self.generation))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}" + rendezvous.PATH.format(project=PROJECT, job=JOB)

    def open(self, place: str = "gang-001") -> ServiceRendezvous:
        return ServiceRendezvous(ServiceAddress(self.url, self.token), place)

    def lose_answers(self, count: int) -> None:
        self.faults.lost = count

    def be_busy(self, count: int) -> None:
        self.faults.busy = count

    def be_slow(self, seconds: float) -> None:
        self.faults.delay = seconds


@contextlib.contextmanager
def folder_meeting() -> Iterator[FolderMeeting]:
    double = storage.Double()
    with double.mounted():
        yield FolderMeeting(double)


@contextlib.contextmanager
def service_meeting(folder: str) -> Iterator[ServiceMeeting]:
    meeting = ServiceMeeting(folder)
    try:
        yield meeting
    finally:
        meeting.stop()


def hold_again(meeting: ServiceMeeting, seconds: float = 5.0) -> None:
    """Lose the job, and take it again as soon as it may be: a job whose worker died waits a second."""
    meeting.lose()
    until = time.monotonic() + seconds
    while not meeting.store.waiting():
        assert time.monotonic() < until, "the job does not wait for a worker"
        time.sleep(0.02)
    meeting.hold()
