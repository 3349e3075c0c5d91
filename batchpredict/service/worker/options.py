"""What one worker is told."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batchpredict.errors import WrongCall
from batchpredict.service.access import RootedPaths
from batchpredict.service.queue.fairness import Limits
from batchpredict.service.settings import Settings
from batchpredict.service.worker.isolation import User
from batchpredict.workers import cores


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker has, and how its jobs run.

    Attributes:
      state: folder on this machine, of the worker's own and of those that came before.
      jobs, workers: room for running jobs, and for their worker processes.
      watches: that it leads at most; each is a small process.
      lease: seconds that a job is held without a renewal.
      limits: of each project.
      runner, runner_flags: where jobs run, as `runners.choose` takes them.
      user: that job processes run as; None for the worker's own.
      memory: most bytes of address space of each process of a job.
      spare: keep a process ready for the next job.
      environ: of which the environment of jobs is made.
      roots, excluded: below which jobs may read and write, as `RootedPaths` takes them; no roots for anywhere.
      rendezvous: URL of the service by which the hosts of training jobs reach it, to meet there; "" where they meet
        in the jobDir.
    """

    state: str
    jobs: int = 1
    workers: int = 1
    watches: int = 8
    lease: float = 15.0
    limits: Limits = field(default_factory=Limits)
    runner: str = "DirectRunner"
    runner_flags: Sequence[str] = ()
    user: User | None = None
    memory: int | None = None
    spare: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    roots: Sequence[str] = ()
    excluded: Sequence[str] = ()
    rendezvous: str = ""

    @classmethod
    def of(cls, settings: Settings) -> WorkerOptions:
        """Those of a service.

        Raises:
          WrongCall: the user cannot be used, a root is not there, or the worker's folder is somebody else's.
        """
        user = User.named(settings.user)
        workers = settings.workers or cores()
        paths = RootedPaths.of(settings)
        return cls(
            state=_state(settings.data, user),
            jobs=settings.jobs or workers,
            workers=workers,
            watches=settings.watches,
            lease=settings.lease,
            limits=Limits(settings.project_jobs, settings.project_workers),
            runner=settings.runner,
            runner_flags=tuple(settings.runner_flags),
            user=user,
            memory=settings.job_memory,
            roots=paths.roots,
            excluded=paths.excluded,
            rendezvous=settings.rendezvous_url,
        )


def _state(data: str, user: User | None) -> str:
    """The worker's folder: below the data folder, if that is on this machine and its jobs may enter it."""
    if "://" not in data and user is None:
        folder = os.path.join(os.path.abspath(data), "worker")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder
    folder = os.path.join(tempfile.gettempdir(), f"batchpredict-worker-{os.geteuid()}")
    os.makedirs(folder, mode=0o711, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise WrongCall(f"The worker's folder '{folder}' belongs to somebody else, or others may write to it.")
    return folder
