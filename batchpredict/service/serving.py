"""The service in one process: everything that the settings ask for, put together, until a signal ends it.

role      what runs
api       the REST methods and the console; operations of models; webhooks
worker    a worker, and its health and metrics if it was given a port of its own
all       both
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from batchpredict.errors import RunnerFailed, WrongCall
from batchpredict.service.access.authorization import ServiceAccess
from batchpredict.service.access.paths import RootedPaths
from batchpredict.service.connections import Connection
from batchpredict.service.measures import Measures
from batchpredict.service.observed import observed
from batchpredict.service.prctl import DUMPABLE, prctl
from batchpredict.service.settings import Settings
from batchpredict.service.store import Store, open_store

if TYPE_CHECKING:
    from batchpredict.service.worker import JobWorker

_log = logging.getLogger(__name__)

# Requests in flight get so long to end after a signal; what still runs then is cut off.
_GRACE = 10
# A worker gives its jobs back: their processes get a while to end.
_WORKER_GRACE = 20.0
# Longer than the 60 s after which load balancers close an idle connection, so that they do it and not we.
_KEEP_ALIVE = 75
_LISTEN = 2048
# Between two looks whether a signal has come, where nothing else wakes the main thread.
_LISTEN_SECONDS = 0.5

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(settings: Settings, announce: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Called in the main thread.

    Args:
      announce: is given a line for a user, once the service listens; None to print it.

    Raises:
      WrongCall: a setting cannot be used: an address, a certificate, a root.
      StoreFailed: the database cannot be opened.
      RunnerFailed: the worker has ended though nobody told it to.
    """
    say = announce or _print
    # The models of jobs, which may run as the same user, are not to read what it was told.
    prctl(DUMPABLE, 0)
    service = _Service(settings)
    try:
        with _signals(service.stop):
            service.run(say)
    finally:
        service.close()


class _Service:
    """The parts of one process, in the order in which they are made; they end in the opposite one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._measures = Measures()
        self._ends = contextlib.ExitStack()
        self._server: _Server | None = None
        self._worker: JobWorker | None = None
        self._worker_failure: BaseException | None = None

    def run(self, say: Callable[[str], None]) -> None:
        settings = self._settings
        # A port that is taken is found before anything else is begun.
        listener = self._listener()
        _make_folder(settings)
        store = open_store(settings.database_url)
        self._ends.callback(store.close)
        self._measures.of_store(store)
        self._start_sender(store)
        self._start_retention(store)
        thread = self._start_worker(store) if settings.role in ("all", "worker") else None
        if listener is None:
            assert thread is not None
            say("a worker waits for jobs")
            # A signal that comes just before a wait does not interrupt it: one without an end would not hear of it.
            while thread.is_alive():
                thread.join(_LISTEN_SECONDS)
        else:
            application: ASGIApp = self._api(store) if settings.role != "worker" else self._bare(store)
            self._serve(application, listener, say)
            if thread is not None:
                thread.join(_WORKER_GRACE)
        if self._worker_failure is not None:
            raise RunnerFailed(f"The worker has ended: {self._worker_failure}") from self._worker_failure

    def stop(self) -> None:
        """Begin to end. Called from a signal handler, or a thread."""
        self._stopping.set()
        if self._server is not None:
            # A second signal does not wait for requests.
            self._server.force_exit = self._server.should_exit
            self._server.should_exit = True
        if self._worker is not None:
            self._worker.stop(0)

    def close(self) -> None:
        self._ends.close()

    def _listener(self) -> socket.socket | None:
        """The socket to listen at; None for a worker that was given no port of its own."""
        settings = self._settings
        if settings.port is None:
            return None
        try:
            family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((settings.host, settings.port), family=family, backlog=_LISTEN)
            # asyncio does this for sockets that it makes. Without it an answer waits 40 ms for the client's word
            # that its headers have arrived.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            # Of a port that is taken Python's own text has the address once more.
            taken = error.errno == errno.EADDRINUSE
            reason = os.strerror(errno.EADDRINUSE) if taken else error.strerror or str(error)
            raise WrongCall(
                f"--host {settings.host} --port {settings.port}: cannot listen there: {reason}"
            ) from error
        self._ends.callback(listener.close)
        return listener

    def _start_sender(self, store: Store) -> None:
        """Whoever changes a state only notes whom to tell, so every process of a service may do the telling."""
        from batchpredict.service.webhooks import Sender

        sender = Sender.of(self._settings, store)
        if sender is not None:
            thread = threading.Thread(target=sender.run, args=(self._stopping,), name="webhooks", daemon=True)
            thread.start()
            self._ends.callback(thread.join, _GRACE)
            # Also where nobody has told us to end: what is begun ends before the store is closed.
            self._ends.callback(self._stopping.set)

    def _start_retention(self, store: Store) -> None:
        from batchpredict.service.retention import Retention

        retention = Retention.of(self._settings, store)
        thread = threading.Thread(target=retention.run, args=(self._stopping,), name="retention", daemon=True)
        thread.start()
        self._ends.callback(thread.join, _GRACE)
        self._ends.callback(self._stopping.set)

    def _start_worker(self, store: Store) -> threading.Thread:
        from batchpredict.service.worker import JobWorker, WorkerOptions

        worker = JobWorker(observed(store, self._measures), WorkerOptions.of(self._settings))
        self._worker = worker
        if self._stopping.is_set():
            worker.stop(0)

        def work() -> None:
            try:
                worker.run()
                if not self._stopping.is_set():
                    raise RuntimeError("nobody told it to")
            except BaseException as error:
                _log.exception("The worker has failed")
                self._worker_failure = error
                # A service whose queue nobody works on is to be started again, by whoever watches it.
                self.stop()

        thread = threading.Thread(target=work, name="worker", daemon=True)
        thread.start()
        return thread

    def _api(self, store: Store) -> ASGIApp:
        """The REST methods and the console, with whatever works for them."""
        from batchpredict.service.console import console
        from batchpredict.service.registry.registry import Registry
        from batchpredict.service.rest.app import Backend, app
        from batchpredict.service.validation import JobCheck
        from batchpredict.service.webhooks import webhook_check

        settings = self._settings
        access = ServiceAccess(settings, store)
        paths = RootedPaths.of(settings)
        registry = Registry(store, paths, settings.data, user=settings.user, memory=settings.job_memory)
        registry.start()
        self._ends.callback(registry.close)
        check = JobCheck(store, access, paths, user=settings.user)
        backend = Backend(
            store=store,
            access=access,
            registry=registry,
            check=check,
            watch_check=check.watch,
            webhook=webhook_check(settings),
            queue_limit=settings.queue_limit,
            account=settings.user or _own_user(),
            measures=self._measures,
            stopping=self._stopping,
        )
        return app(backend, lambda methods, watch_methods: console(store, access, paths, methods, watch_methods))

    def _bare(self, store: Store) -> Starlette:
        """Health and metrics."""
        from batchpredict.service.rest.routes_beside import routes

        return Starlette(routes=routes(store, self._measures, self._stopping))

    def _serve(self, application: ASGIApp, listener: socket.socket, say: Callable[[str], None]) -> None:
        settings = self._settings
        config = uvicorn.Config(
            application,
            lifespan="off",
            http=Connection,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
            ssl_certfile=settings.tls_certificate or None,
            ssl_keyfile=settings.tls_key or None,
        )
        try:
            config.load()
        except OSError as error:
            raise WrongCall(f"--tls-certificate, --tls-key: cannot be used: {error}") from error
        self._server = _Server(config)
        self._server.should_exit = self._stopping.is_set()
        scheme = "https" if settings.tls_certificate else "http"
        self._server.announce = lambda: say(f"listening on {scheme}://{_shown(listener)}")
        self._server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves signals to whoever made it."""

    announce: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_folder(settings: Settings) -> None:
    """The service's own folder, if it is on this machine. Raises WrongCall."""
    if "://" in settings.data:
        return
    try:
        # Every job is in it, and copies of every model; a user that jobs run as has to find the latter.
        os.makedirs(settings.data, mode=0o700, exist_ok=True)
        if settings.user:
            # Also where it was made before there was one.
            os.chmod(settings.data, os.stat(settings.data).st_mode & 0o777 | 0o011)
    except OSError as error:
        raise WrongCall(f"--data: '{settings.data}' cannot be made: {error.strerror}") from error


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _own_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "batchpredict"


def _print(line: str) -> None:
    print(f"batchpredict: {line}", file=sys.stderr, flush=True)
