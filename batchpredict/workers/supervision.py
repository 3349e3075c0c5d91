"""What to do when a worker process dies over a split.

A death may be the machine's fault (memory, a kill) or a record's: a model that crashes its process on a record
is as wrong about it as one that refuses it, and a retry would only crash again. So:

* the first death is held against nobody: the same attempt is made again, model calls announced one by one;
* a second death over the same records makes them suspects: each is called alone before its batch is;
* a record whose lone call kills the process is a crashing record: it is reported and left out (SIGKILL, which comes
  from outside, counts only when it has hit the same lone record three times);
* records that survive alone and die together again (memory, perhaps) are only called alone.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field, replace

from batchpredict.errors import WorkerLost
from batchpredict.scoring.place import Place, Range
from batchpredict.scoring.task import Task

# Deaths in a row with no model call under way: it is not a record's doing, and a kill now and then is bad luck.
_IDLE_DEATHS = 10
# Deaths over one split that were not traced to a record.
_VAIN_DEATHS = 30
# Deaths of a record's lone call by a signal that comes from outside (an operator, a machine short of memory) before
# the record is held to be crashing. A crash of the model's own says enough at once.
_LONE_KILLS = 3
# Records of one split that crash the model, each at the price of a process, before the model is held to be broken.
_MOST_CRASHING = 100


@dataclass(frozen=True)
class ProcessEnd:
    """How a process ended. `str()` of it is a verb phrase.

    Attributes:
      status: its exit status, or the negative number of the signal that ended it, as `subprocess` has it.
    """

    status: int

    @property
    def killed(self) -> bool:
        """It was ended from outside: by an operator, or by a machine short of memory."""
        return self.status == -signal.SIGKILL

    def __str__(self) -> str:
        if self.status >= 0:
            return f"exited with status {self.status}"
        try:
            return f"was killed by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"was killed by signal {-self.status}"


@dataclass
class SplitDeaths:
    """The deaths over one split so far."""

    deaths: list[Range] = field(default_factory=list)
    total: int = 0
    idle: int = 0
    lone_kills: Counter[Place] = field(default_factory=Counter)

    def after_death(self, task: Task, calling: Range | None, end: ProcessEnd) -> Task:
        """The attempt to make next, after `task` ended in a death.

        Args:
          task: the attempt that died.
          calling: records that were with the model; None if it was not being called.
          end: how the process ended.

        Raises:
          WorkerLost: no further attempt makes sense.
        """
        split = task.split.index
        if calling is None:
            self.idle += 1
            if self.idle >= _IDLE_DEATHS:
                raise WorkerLost(
                    f"A worker process {end} {self.idle} times over split {split}, always outside the model."
                )
            return replace(task, careful=True)
        self.idle = 0
        suspected = any(suspect.holds(calling.first) for suspect in task.suspects)
        if suspected and calling.first == calling.last:
            if end.killed:
                self.lone_kills[calling.first] += 1
                if self.lone_kills[calling.first] < _LONE_KILLS:
                    return task
            if len(task.crashing) >= _MOST_CRASHING:
                raise WorkerLost(
                    f"The model crashed its process on more than {_MOST_CRASHING} records of split {split}."
                )
            crash_message = f"The model crashed its process: it {end} when it was given this record alone."
            return replace(
                task, careful=True, crashing=(*task.crashing, calling.first), crash_message=crash_message
            )
        self.total += 1
        if self.total >= _VAIN_DEATHS:
            raise WorkerLost(f"Worker processes died {self.total} times over split {split}; the last one {end}.")
        if suspected:
            return replace(task, careful=True, alone=(*task.alone, calling))
        if any(death.meets(calling) for death in self.deaths):
            return replace(task, careful=True, suspects=(*task.suspects, calling))
        self.deaths.append(calling)
        return replace(task, careful=True)
