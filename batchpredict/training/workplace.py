"""What the replicas of a job share that one process of a host runs: folders, packages, the log."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence

from batchpredict.errors import JobFailed
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.logs import LogWriter
from batchpredict.training.replica import Installed, install
from batchpredict.training.shared import shared_folder

# Longer than an installer takes to end when it is asked to.
_PATIENCE = 5.0


class Workplace:
    """Of one process that hosts replicas of a job.

    Args:
      path: folder of this process, for working directories.
      packages: folder for the packages of the job.
      logs: takes the lines of the replicas.
    """

    def __init__(self, path: str, packages: str, logs: LogWriter) -> None:
        self.path = path
        self.logs = logs
        self._packages = packages
        self._installed: Installed | None = None
        self._guard = threading.Lock()
        self._closed = threading.Event()

    @classmethod
    @contextlib.contextmanager
    def of(cls, folder: TrainingFolder, *, shared: bool) -> Iterator[Workplace]:
        """The workplace of a job; nothing of it is left afterwards.

        Args:
          shared: other processes of this machine may host replicas of the job as well, and install nothing that one
            of them has.

        Raises:
          JobFailed: this machine has no room for it.
        """
        name = hashlib.sha256(folder.url.encode()).hexdigest()[:24]
        logs = LogWriter(folder.logs)
        with contextlib.ExitStack() as ends:
            ends.callback(logs.close)
            try:
                own = tempfile.TemporaryDirectory(prefix="batchpredict-train-", ignore_cleanup_errors=True)
                path = ends.enter_context(own)
                packages = ends.enter_context(shared_folder(name)) if shared else os.path.join(path, "site")
            except OSError as error:
                raise JobFailed(f"The temporary folder of this machine cannot be used: {error}") from error
            workplace = cls(path, packages, logs)
            ends.callback(workplace.close)
            yield workplace

    def installed(self, packages: Sequence[str]) -> Installed:
        """The packages of the job, installed once. Raises BatchPredictError."""
        with self._guard:
            if self._installed is None:
                self._installed = install(
                    packages,
                    self._packages,
                    lambda text: self.logs.add("service", "", text),
                    wanted=lambda: not self._closed.is_set(),
                )
            return self._installed

    def close(self) -> None:
        """End an installer that still runs."""
        self._closed.set()
        if self._guard.acquire(timeout=_PATIENCE):
            self._guard.release()
