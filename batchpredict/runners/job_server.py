"""A job server that this process starts for one job: Beam's jar for Flink, or a Prism binary."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence

from batchpredict.errors import RunnerFailed
from batchpredict.runners.job_service import Endpoint
from batchpredict.runners.log_file import LogFile

# A Java process on a busy machine needs a while.
_START_SECONDS = 30.0

# Kills the server when the pipe closes that only this process holds, so that it does not outlive a SIGKILL.
_GUARD = 'read line; kill -9 "$1" 2>/dev/null'


class JobServer:
    """A process that serves Beam's Job API on this machine.

    It is in a session of its own: a Ctrl-C at the terminal must not take away what cancels the job.

    Args:
      command: given a folder for its files, what to run and the host:port where it will listen.
      log: gets what it prints.
    """

    def __init__(self, command: Callable[[str], tuple[Sequence[str], str]], log: LogFile) -> None:
        self._log = log
        self._folder = tempfile.mkdtemp(prefix="batchpredict-job-server-")
        arguments, endpoint = command(self._folder)
        self.endpoint = Endpoint.of(endpoint, "--job-endpoint")
        self._name = os.path.basename(arguments[0])
        try:
            with open(log.path, "ab") as output:
                self._process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise RunnerFailed(f"The job server cannot be started: '{arguments[0]}': {error.strerror}") from error
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait until it listens.

        Raises:
          RunnerFailed: it ended, or takes too long.
        """
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RunnerFailed(
                    f"The job server ({self._name}) has ended with status {self._process.returncode}; "
                    f"what it said is in {self._log.path}"
                )
            with contextlib.suppress(RunnerFailed):
                self.endpoint.reach("job server", self._name)
                return
            time.sleep(0.1)
        raise RunnerFailed(f"The job server ({self._name}) does not come up; what it said is in {self._log.path}")

    def stop(self) -> None:
        for process in (self._process, self._guard):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)
