"""The worker's side of one job process and its guard: started, told, listened to, and known to be gone.

A process is started before its job is known (it is the spare then) or for a job at once: the order comes afterwards
in both cases, and a process takes one. The process of a watch is told more while it runs, on the same pipe.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from batchpredict.service.worker.guard import Charge
from batchpredict.service.worker.isolation import RunFolder, User, environment
from batchpredict.service.worker.joblog import LineReader
from batchpredict.service.worker.leftovers import kill_marked
from batchpredict.service.worker.protocol import LONGEST, Message, NotUnderstood, read_message, to_line

_log = logging.getLogger(__name__)

# Where this package was imported from: job processes import the same one, whatever their environment says.
_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_GUARD = "batchpredict.service.worker.guard"
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Setting:
    """In what a job process is started; the same for all of a worker.

    Attributes:
      environ: the worker's own environment.
      history: file to which guards append starts and ends.
      runner: that jobs will be given to.
      user: that it runs as; None for the worker's own.
      memory: most bytes of address space of each of its processes.
      umask: of its files.
    """

    environ: Mapping[str, str]
    history: str
    runner: str
    user: User | None = None
    memory: int | None = None
    umask: int = 0o022


Words = TypeVar("Words")
Heard = TypeVar("Heard", contravariant=True)


@dataclass(frozen=True)
class Program(Generic[Words]):
    """What runs in a process, and what it says.

    Attributes:
      module: of Python; its first argument is the file descriptor that it says things on.
      read: a line of that; raises NotUnderstood.
      talks: it is told more than its order.
    """

    module: str
    read: Callable[[bytes], Words]
    talks: bool = False


JOB: Program[Message] = Program("batchpredict.service.worker.process", read_message)


class Listener(Protocol[Heard]):
    """Whoever is told what a process says; from one thread of the process's own."""

    def said(self, message: Heard) -> None: ...

    def printed(self, text: str, *, stderr: bool) -> None:
        """A line that it, or something that it started, has written."""
        ...

    def misspoke(self, error: NotUnderstood) -> None: ...

    def died(self, how: str) -> None:
        """No process of it is left, and nothing comes any more; called once."""
        ...


class JobProcess(Generic[Words]):
    """A job process, from its start to the end of everything that it started.

    Args:
      program: that it runs.
      setting: in what it is started.
      mark: of the run.
      folder: of the run; made here, and removed when all is over.
      listener: told what happens.
      early: there is no job for it yet, so it makes itself ready for any.

    Raises:
      OSError: it cannot be started.
    """

    def __init__(
        self,
        program: Program[Words],
        setting: Setting,
        mark: str,
        folder: RunFolder,
        listener: Listener[Words],
        *,
        early: bool = False,
    ) -> None:
        self.mark = mark
        self._program = program
        self._early = early
        self._folder = folder
        self._lock = threading.Lock()
        self._dead = threading.Event()
        self._given = False
        self._order_lock = threading.Lock()
        with contextlib.ExitStack() as undo:
            undo.callback(folder.remove)
            folder.make(setting.user)
            self._start(setting, undo)
            undo.pop_all()
        threading.Thread(target=self._listen, args=(listener,), name=f"job-{mark}", daemon=True).start()

    def _start(self, setting: Setting, undo: contextlib.ExitStack) -> None:
        # Ends of pipes: theirs are closed here in any case, ours if it fails.
        with contextlib.ExitStack() as theirs:

            def pipe(*, we_write: bool) -> tuple[int, int]:
                reading, writing = os.pipe()
                ours, others = (writing, reading) if we_write else (reading, writing)
                undo.callback(os.close, ours)
                theirs.callback(os.close, others)
                return ours, others

            self._control, control = pipe(we_write=True)
            self._order, order = pipe(we_write=True)
            self._status, status = pipe(we_write=False)
            self._messages, messages = pipe(we_write=False)
            self._stdout, stdout = pipe(we_write=False)
            self._stderr, stderr = pipe(we_write=False)
            user = setting.user
            ready = [setting.runner] if self._early else []
            charge = Charge(
                command=[sys.executable, "-m", self._program.module, str(messages), *ready],
                order=order,
                stdout=stdout,
                stderr=stderr,
                passed=[messages],
                folder=self._folder.work,
                history=setting.history,
                name=self.mark,
                umask=setting.umask,
                memory=setting.memory,
                user=None if user is None else user.uid,
                group=None if user is None else user.gid,
                groups=None if user is None else list(user.groups),
            )
            variables = environment(setting.environ, self.mark, self._folder, user)
            # A guard that hangs must not hang us.
            os.set_blocking(self._control, False)
            path = os.pathsep.join(part for part in (_ROOT, variables.get("PYTHONPATH")) if part)
            self._guard = subprocess.Popen(
                [sys.executable, "-m", _GUARD, charge.to_json()],
                stdin=control,
                stdout=status,
                stderr=stderr,
                pass_fds=(order, messages, stdout, stderr),
                cwd=self._folder.work,
                env={**variables, "PYTHONPATH": path},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the guard."""
        return self._guard.pid

    def give(self, order: msgspec.Struct, name: str, until: float) -> None:
        """Give the process its job, once, and its guard the name of it. May wait until the process can read."""
        with self._lock:
            if self._given or self._dead.is_set():
                return
            self._given = True
        self._tell({"job": name, "until": until})
        self._write(order)
        if not self._program.talks:
            self._close_order()

    def say(self, message: msgspec.Struct) -> None:
        """Tell a process more, after its order. May wait until it reads."""
        self._write(message)

    def _write(self, message: msgspec.Struct) -> None:
        data = to_line(message)
        # One that has died is heard of otherwise.
        with self._order_lock, contextlib.suppress(OSError):
            while data and self._order >= 0:
                data = data[os.write(self._order, data) :]

    def _close_order(self) -> None:
        with self._order_lock:
            if self._order >= 0:
                os.close(self._order)
            self._order = -1

    def extend(self, until: float) -> None:
        """Move the time at which everything ends by itself."""
        self._tell({"until": until})

    def stop(self) -> None:
        """Ask the process to stop its work and to end."""
        self._tell({"stop": True})

    def kill(self) -> None:
        """End everything now."""
        self._tell({"kill": True})

    def wait(self, seconds: float) -> bool:
        """Wait until no process is left; whether that is so."""
        return self._dead.wait(seconds)

    def _tell(self, said: Mapping[str, object]) -> None:
        with self._lock, contextlib.suppress(OSError):
            # Less than a pipe takes at once, so a line is written whole or not at all.
            os.write(self._control, json.dumps(said).encode() + b"\n")

    def _listen(self, listener: Listener[Words]) -> None:
        try:
            how = self._hear(listener)
        except Exception:
            # Whatever a job says, its end must be heard of, or it would be held for ever.
            _log.exception("a job process could not be listened to")
            self._guard.kill()
            self._guard.wait()
            self._kill_rest()
            how = "what it said could not be understood"
        finally:
            with self._lock:
                os.close(self._control)
                self._control = -1
                self._dead.set()
            self._close_order()
            for handle in (self._status, self._messages, self._stdout, self._stderr):
                os.close(handle)
            self._folder.remove()
        listener.died(how)

    def _kill_rest(self) -> None:
        """Kill what a guard that is gone has not looked after."""
        while not kill_marked(self.mark):
            pass

    def _hear(self, listener: Listener[Words]) -> str:
        """Pass on whatever comes until the guard has ended; how the job process ended."""
        streams = _Streams(self._program.read, listener, self._messages, self._stdout, self._stderr)
        status = b""
        with selectors.DefaultSelector() as selector:
            for handle in (self._status, *streams.handles):
                os.set_blocking(handle, False)
                selector.register(handle, selectors.EVENT_READ)
            guarded = True
            while guarded:
                for key, _ in selector.select():
                    data = _read(key.fd)
                    if data is None:
                        continue
                    if not data:
                        selector.unregister(key.fd)
                        guarded = guarded and key.fd != self._status
                    elif key.fd == self._status:
                        status += data
                    else:
                        streams.feed(key.fd, data)
        self._guard.wait()
        how = _how(status)
        if how is None:
            # Somebody killed the guard, and with it the job process; nobody else has looked after the rest.
            self._kill_rest()
            how = "its guard was killed"
        # All writers are gone, so what is still in the pipes ends.
        for handle in streams.handles:
            while data := _read(handle):
                streams.feed(handle, data)
        streams.end()
        return how


class _Streams(Generic[Words]):
    """The three streams of a job process: what it says, and what it prints."""

    def __init__(
        self, read: Callable[[bytes], Words], listener: Listener[Words], messages: int, stdout: int, stderr: int
    ) -> None:
        self._read = read
        self._listener = listener
        self._messages = messages
        self._rest = b""
        self._printed = {stdout: (LineReader(), False), stderr: (LineReader(), True)}

    @property
    def handles(self) -> list[int]:
        return [self._messages, *self._printed]

    def feed(self, handle: int, data: bytes) -> None:
        if handle == self._messages:
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > LONGEST:
                self._rest = b""
                self._listener.misspoke(NotUnderstood("A job process said more than a worker reads."))
            for line in lines:
                self._said(line)
            return
        reader, is_stderr = self._printed[handle]
        for text in reader.feed(data):
            self._listener.printed(text, stderr=is_stderr)

    def end(self) -> None:
        for reader, is_stderr in self._printed.values():
            for text in reader.end():
                self._listener.printed(text, stderr=is_stderr)

    def _said(self, line: bytes) -> None:
        try:
            message = self._read(line)
        except NotUnderstood as error:
            self._listener.misspoke(error)
        else:
            self._listener.said(message)


def _read(handle: int) -> bytes | None:
    """What can be read now; b"" at the end, None if nothing is there."""
    try:
        return os.read(handle, _READ_BYTES)
    except BlockingIOError:
        return None


def _how(status: bytes) -> str | None:
    """What a guard has said at its end; None if it was killed before it could."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return str(json.loads(status)["how"])
    return None
