"""What to do when a worker process dies over a split.

A death may be the machine's fault (memory, a kill) or a record's: a model that crashes its process on a record
is as wrong about it as one that refuses it, and a retry would only crash again. So:

* the first death is held against nobody: the same attempt is made again, model calls announced one by one;
* a second death over the same records makes them suspects: they are called alone;
* a record whose lone call kills the process is condemned: it is reported and left out.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace

from batchpredict.errors import WorkerLost
from batchpredict.prediction.task import Range, Task

# Deaths in a row with no model call under way: it is not a record's doing.
_IDLE_DEATHS = 3
# Deaths over one split, whatever the reason. A record that crashes the model costs three.
_ALL_DEATHS = 30


@dataclass
class Inquest:
    """The deaths over one split so far."""

    deaths: list[Range] = field(default_factory=list)
    total: int = 0
    idle: int = 0

    def after_death(self, task: Task, calling: Range | None, cause: str) -> Task:
        """The attempt to make next, after `task` ended in a death.

        Args:
          task: the attempt that died.
          calling: records that were with the model; None if it was not being called.
          cause: how the process ended, for messages.

        Raises:
          WorkerLost: no further attempt makes sense.
        """
        self.total += 1
        if calling is None:
            self.idle += 1
            if self.idle >= _IDLE_DEATHS:
                raise WorkerLost(
                    f"A worker process {cause} {self.idle} times over split {task.split.index}, "
                    "each time outside the model."
                )
            return replace(task, careful=True)
        self.idle = 0
        if self.total >= _ALL_DEATHS:
            raise WorkerLost(
                f"Worker processes died {self.total} times over split {task.split.index}; the last {cause}."
            )
        alone = calling.first == calling.last
        if alone and any(suspect.holds(calling.first) for suspect in task.suspects):
            rest = tuple(suspect for suspect in task.suspects if not suspect.holds(calling.first))
            self.deaths = [death for death in self.deaths if not death.holds(calling.first)]
            obituary = f"The model crashed its process: it {cause} when it was given this record alone."
            return replace(
                task, careful=True, suspects=rest, condemned=(*task.condemned, calling.first), obituary=obituary
            )
        if any(death.meets(calling) for death in self.deaths):
            return replace(task, careful=True, suspects=(*task.suspects, calling))
        self.deaths.append(calling)
        return replace(task, careful=True)


def cause_of(returncode: int) -> str:
    """How a process ended, as a verb phrase."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
