"""What to do when a worker process dies over a split.

A death may be the machine's fault (memory, a kill) or a record's: a model that crashes its process on a record
is as wrong about it as one that refuses it, and a retry would only crash again. So:

* the first death is held against nobody: the same attempt is made again, model calls announced one by one;
* a second death over the same records makes them suspects: each is called alone before its batch is;
* a record whose lone call kills the process is condemned: it is reported and left out (SIGKILL, which comes
  from outside, counts only when it has hit the same lone record three times);
* records that survive alone and die together again (memory, perhaps) are only called alone.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field, replace

from batchpredict.errors import WorkerLost
from batchpredict.scoring.instances import Place
from batchpredict.scoring.task import Range, Task

# Deaths in a row with no model call under way: it is not a record's doing, and a kill now and then is bad luck.
_IDLE_DEATHS = 10
# Deaths over one split that condemned no record.
_VAIN_DEATHS = 30
# Deaths of a record's lone call by a signal that comes from outside (an operator, a machine short of memory) before
# the record is condemned. A crash of the model's own says enough at once.
_LONE_KILLS = 3
# Records of one split that crash the model, each at the price of a process, before the model is held to be broken.
_MOST_CONDEMNED = 100


@dataclass
class Inquest:
    """The deaths over one split so far."""

    deaths: list[Range] = field(default_factory=list)
    total: int = 0
    idle: int = 0
    lone_kills: Counter[Place] = field(default_factory=Counter)

    def after_death(self, task: Task, calling: Range | None, cause: str) -> Task:
        """The attempt to make next, after `task` ended in a death.

        Args:
          task: the attempt that died.
          calling: records that were with the model; None if it was not being called.
          cause: how the process ended, for messages.

        Raises:
          WorkerLost: no further attempt makes sense.
        """
        split = task.split.index
        if calling is None:
            self.idle += 1
            if self.idle >= _IDLE_DEATHS:
                raise WorkerLost(
                    f"A worker process {cause} {self.idle} times over split {split}, always outside the model."
                )
            return replace(task, careful=True)
        self.idle = 0
        suspected = any(suspect.holds(calling.first) for suspect in task.suspects)
        if suspected and calling.first == calling.last:
            if cause == KILLED:
                self.lone_kills[calling.first] += 1
                if self.lone_kills[calling.first] < _LONE_KILLS:
                    return task
            if len(task.condemned) >= _MOST_CONDEMNED:
                raise WorkerLost(
                    f"The model crashed its process on more than {_MOST_CONDEMNED} records of split {split}."
                )
            obituary = f"The model crashed its process: it {cause} when it was given this record alone."
            return replace(task, careful=True, condemned=(*task.condemned, calling.first), obituary=obituary)
        self.total += 1
        if self.total >= _VAIN_DEATHS:
            raise WorkerLost(f"Worker processes died {self.total} times over split {split}; the last one {cause}.")
        if suspected:
            return replace(task, careful=True, alone=(*task.alone, calling))
        if any(death.meets(calling) for death in self.deaths):
            return replace(task, careful=True, suspects=(*task.suspects, calling))
        self.deaths.append(calling)
        return replace(task, careful=True)


KILLED = "was killed by SIGKILL"


def cause_of(returncode: int) -> str:
    """How a process ended, as a verb phrase."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
