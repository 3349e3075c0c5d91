"""Which waiting jobs a worker takes next: a fair share for each project, and no more than there is room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """A queued job that may be claimed now.

    Attributes:
      project, job_id: which.
      sequence: its place in the order of creation, over all projects.
      workers: worker processes that it asks for.
    """

    project: str
    job_id: str
    sequence: int
    workers: int


@dataclass(frozen=True)
class Usage:
    """What runs already: jobs, and the worker processes that their leases reserve."""

    jobs: int = 0
    workers: int = 0


@dataclass(frozen=True)
class Room:
    """What a machine has in all, and what of it is taken.

    Attributes:
      jobs: most running jobs.
      workers: most worker processes.
      used: what runs there.
    """

    jobs: int
    workers: int
    used: Usage = Usage()


@dataclass(frozen=True)
class Limits:
    """What one project may have running at a time, on all machines; None for no limit."""

    jobs: int | None = None
    workers: int | None = None

    def allow(self, used: Usage, workers: int) -> bool:
        """Whether a project that uses so much may have one more job, with so many worker processes."""
        return _within(used, workers, self.jobs, self.workers)


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Grant:
    """A job that is to be claimed, with the worker processes that it gets: never more than it asked for."""

    job: Waiting
    workers: int


def choose(
    waiting: Sequence[Waiting], usage: Mapping[str, Usage], room: Room, limits: Limits = NO_LIMITS
) -> list[Grant]:
    """The jobs to claim, in order.

    The next one is the oldest of the project that has the fewest worker processes; among those, the fewest jobs;
    among those, the oldest. A job that asks for more than a whole machine, or than its project may have, gets that.
    One for which there is no room yet is not overtaken by others, or a large job would wait for ever; a project at
    its limit is.

    Args:
      waiting: queued jobs, in any order.
      usage: by project, on all machines.
      room: of the machine that asks.
      limits: of each project.
    """
    taken = dict(usage)
    here = room.used
    queues = _by_project(waiting)
    grants: list[Grant] = []
    while queues:
        project = min(queues, key=lambda name: _turn(taken.get(name, Usage()), queues[name][0]))
        job = queues[project][0]
        most = room.workers if limits.workers is None else min(room.workers, limits.workers)
        wanted = max(1, min(job.workers, most))
        if not limits.allow(taken.get(project, Usage()), wanted):
            # The project has what it may have; others go on.
            del queues[project]
            continue
        if not _within(here, wanted, room.jobs, room.workers):
            break
        grants.append(Grant(job, wanted))
        taken[project] = _plus(taken.get(project, Usage()), wanted)
        here = _plus(here, wanted)
        queues[project].popleft()
        if not queues[project]:
            del queues[project]
    return grants


def _by_project(waiting: Sequence[Waiting]) -> dict[str, deque[Waiting]]:
    queues: dict[str, deque[Waiting]] = {}
    for job in sorted(waiting, key=lambda job: job.sequence):
        queues.setdefault(job.project, deque()).append(job)
    return queues


def _turn(taken: Usage, oldest: Waiting) -> tuple[int, int, int]:
    """The lowest is next."""
    return taken.workers, taken.jobs, oldest.sequence


def _within(taken: Usage, workers: int, most_jobs: int | None, most_workers: int | None) -> bool:
    """Whether one more job with so many workers is still within these bounds."""
    return (most_jobs is None or taken.jobs < most_jobs) and (
        most_workers is None or taken.workers + workers <= most_workers
    )


def _plus(taken: Usage, workers: int) -> Usage:
    return Usage(taken.jobs + 1, taken.workers + workers)
