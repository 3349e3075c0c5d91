"""The supervisor's side of one worker process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe

from batchpredict.errors import BatchPredictError, JobFailed, from_document
from batchpredict.ledger import Manifest, spooling
from batchpredict.scoring import Range, Task
from batchpredict.workers.protocol import CallNote, Done, Failed, Progress, Ready, Setup, Warned
from batchpredict.workers.supervision import ProcessEnd

_MAIN = "from batchpredict.workers.worker import main; main()"
# Where this package was imported from: a worker imports the same one, whatever its environment says.
_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
_OUTPUT_BYTES = 1 << 20  # of a worker's output that are kept from one split to the next
_TAIL_BYTES = 2000  # of a dead worker's stderr, for the message


class Died(Exception):
    """The worker process is gone.

    Attributes:
      end: how it ended.
      calling: the records that were with the model; None if it was not being called.
      tail: the end of what it had written to stderr.
      ready: it had loaded the model.
    """

    def __init__(self, end: ProcessEnd, calling: Range | None, tail: str, ready: bool) -> None:
        self.end = end
        self.ready = ready
        self.calling = calling
        self.tail = tail
        super().__init__(str(end))


class WorkerProcess:
    """A worker process, started at once; it loads the model while its supervisor does something else.

    Without a setup it imports what it needs for any job, and waits for one; see `assign`. `program` is the Python
    code that it runs, which ends in `worker.serve`.

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only the supervisor, and ends when
    the supervisor does, even by SIGKILL.
    """

    def __init__(self, setup: Setup | None = None, *, program: str = _MAIN) -> None:
        with contextlib.ExitStack() as opened:
            try:
                self._start(opened, program)
            except OSError as error:
                raise JobFailed(f"A worker process cannot be started: {error}") from error
            self._opened = opened.pop_all()
        self._ready = False
        self._call_note = CallNote(self._note_file.fileno())
        if setup is not None:
            self.assign(setup)

    def _start(self, opened: contextlib.ExitStack, program: str) -> None:
        self._note_file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is one
        self._stderr = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        ours, theirs = Pipe()
        self._connection: Connection = opened.enter_context(ours)
        with theirs:
            lifeline, ours_of_it = os.pipe()
            opened.callback(os.close, ours_of_it)
            handles = (theirs.fileno(), self._note_file.fileno(), lifeline)
            path = os.pathsep.join(part for part in (_ROOT, os.environ.get("PYTHONPATH")) if part)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", program, *map(str, handles)],
                    stdin=subprocess.DEVNULL,
                    stdout=self._stderr,
                    stderr=self._stderr,
                    pass_fds=handles,
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": path},
                )
            finally:
                os.close(lifeline)

    def assign(self, setup: Setup) -> None:
        """Give the process its job; once."""
        # One that has died already is found so when it is asked for its first split.
        with contextlib.suppress(OSError):
            self._connection.send(setup)

    def run(
        self, task: Task, on_progress: Callable[[Progress], None], on_warning: Callable[[Warned], None]
    ) -> Manifest | None:
        """Have one split scored. None if another attempt had committed it first.

        Raises:
          Died: the process ended before it answered.
          JobFailed: it could not load the model, or cannot go on with the job.
        """
        self._await_ready()
        with spooling():
            self._forget_output()
            self._call_note.clear()
        self._send(task)
        while True:
            message = self._receive()
            if isinstance(message, Progress):
                on_progress(message)
            elif isinstance(message, Warned):
                on_warning(message)
            elif isinstance(message, Done):
                return message.manifest
            else:
                raise self._failure(message)

    def _await_ready(self) -> None:
        if not self._ready:
            message = self._receive()
            if not isinstance(message, Ready):
                raise self._failure(message)
            self._ready = True

    def _send(self, task: Task) -> None:
        try:
            self._connection.send(task)
        except OSError as error:
            raise self._died() from error

    def _receive(self) -> object:
        try:
            message: object = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        return message

    def _failure(self, message: object) -> BatchPredictError:
        """What a worker's `Failed` stands for."""
        if not isinstance(message, Failed):
            return JobFailed(f"A worker said what it should not have: {message!r}")
        if message.error is not None:
            return from_document(message.error)
        return JobFailed(f"A worker failed: {message.message}{self._quoted_tail()}")

    def _forget_output(self) -> None:
        """Start the file of the worker's output anew: a model may print a line for every batch."""
        handle = self._stderr.fileno()
        if os.fstat(handle).st_size > _OUTPUT_BYTES:
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)

    def _died(self) -> Died:
        # The pipe closes a moment before the process can be waited for.
        try:
            returncode = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            returncode = self._process.wait()
        return Died(ProcessEnd(returncode), self._call_note.read(), self._tail(), self._ready)

    def _tail(self) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        data = os.pread(self._stderr.fileno(), _TAIL_BYTES, max(size - _TAIL_BYTES, 0))
        return data.decode("utf-8", "replace").strip()

    def _quoted_tail(self) -> str:
        tail = self._tail()
        return f"\n{tail}" if tail else ""

    def close(self) -> None:
        """End the process at once and let go of everything. What it had not committed is lost, no more."""
        self._process.kill()
        self._process.wait()
        self._opened.close()

    def kill(self) -> None:
        """Kill the process; whoever waits for its answer gets `Died`."""
        self._process.kill()
