"""What to do when a worker process dies: events go in, instructions come out. No clock, no I/O, no thread.

A death may be the machine's fault (memory, a kill) or a record's: a model that crashes its process on a record
is as wrong about it as one that refuses it, and a retry would only crash again. So the records that were with the
model are watched, per split, by `SplitDeaths`:

    what the model was called with   what was known                          the next attempt
    -------------------------------  --------------------------------------  ----------------------------------
    nothing                          fewer than 10 such deaths in a row      the same, calls announced singly
    nothing                          10 in a row                             none: the machine is broken
    records, not suspected           no death before over any of them        the same, calls announced singly
    records, not suspected           a death before over one of them         they are suspects: each of them is
                                                                             called alone before its batch is
    suspects, several                each has survived its lone call         they are only called alone
    a suspect, alone                 ended by SIGKILL, fewer than 3 times    the same
    a suspect, alone                 anything else                           it is crashing: reported, left out
    a suspect, alone                 100 records of the split are crashing   none: the model is broken
    records, not one suspect alone   30 such deaths                          none: it leads nowhere

SIGKILL comes from outside, from an operator or a machine short of memory; a crash of the model's own says enough at
once.

Deaths before a process has loaded the model are watched over all splits, by `ProcessStarts`:

    the process                      what was known                          the next attempt
    -------------------------------  --------------------------------------  ----------------------------------
    died before it was ready         none was ever ready, 3 in a row         none: TensorFlow or the model
    died before it was ready         one was, or SIGKILL, 10 in a row        none: the machine is broken
    died before it was ready         fewer in a row                          the same
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TypeAlias

from batchpredict.scoring import Place, Range, Task

# Deaths in a row with no model call under way: it is not a record's doing, and a kill now and then is bad luck.
_IDLE_DEATHS = 10
# Deaths over one split that were not traced to a record.
_VAIN_DEATHS = 30
# Deaths of a record's lone call by a signal that comes from outside before the record is held to be crashing.
_LONE_KILLS = 3
# Records of one split that crash the model, each at the price of a process, before the model is held to be broken.
_MOST_CRASHING = 100
# Processes that die one after the other before they have loaded the model.
_FAILED_STARTS = 3
# The same when others have loaded it before, or when somebody killed them: then it is more likely the machine that
# is short of memory.
_FAILED_RESTARTS = 10


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


@dataclass(frozen=True)
class TryAgain:
    """Make this attempt next."""

    task: Task


@dataclass(frozen=True)
class GiveUp:
    """No further attempt makes sense; `reason` is one sentence for the job's user."""

    reason: str


Instruction: TypeAlias = TryAgain | GiveUp


@dataclass(frozen=True)
class SplitDeaths:
    """The deaths over one split so far; those that were traced to a record are in the task.

    Attributes:
      ranges: the records of each death over no suspects.
      vain: deaths during a call that were traced to no record.
      idle: deaths in a row with no call under way.
      lone_kills: records whose lone call was ended from outside, once for each time.
    """

    ranges: tuple[Range, ...] = ()
    vain: int = 0
    idle: int = 0
    lone_kills: tuple[Place, ...] = ()

    def after_death(self, task: Task, calling: Range | None, end: ProcessEnd) -> tuple[SplitDeaths, Instruction]:
        """What is known after an attempt has ended in a death, and what to do.

        Args:
          task: the attempt that died.
          calling: records that were with the model; None if it was not being called.
          end: how the process ended.
        """
        split = task.split.index
        if calling is None:
            idle = self.idle + 1
            if idle >= _IDLE_DEATHS:
                reason = f"A worker process {end} {idle} times over split {split}, always outside the model."
                return self, GiveUp(reason)
            return replace(self, idle=idle), TryAgain(replace(task, careful=True))
        known = replace(self, idle=0)
        suspected = any(suspect.holds(calling.first) for suspect in task.suspects)
        if suspected and calling.first == calling.last:
            return known._after_lone_call(task, calling.first, end)
        known = replace(known, vain=self.vain + 1)
        if known.vain >= _VAIN_DEATHS:
            reason = f"Worker processes died {known.vain} times over split {split}; the last one {end}."
            return known, GiveUp(reason)
        if suspected:
            return known, TryAgain(replace(task, careful=True, alone=(*task.alone, calling)))
        if any(one.meets(calling) for one in self.ranges):
            return known, TryAgain(replace(task, careful=True, suspects=(*task.suspects, calling)))
        return replace(known, ranges=(*self.ranges, calling)), TryAgain(replace(task, careful=True))

    def _after_lone_call(self, task: Task, record: Place, end: ProcessEnd) -> tuple[SplitDeaths, Instruction]:
        known = self
        if end.killed:
            known = replace(self, lone_kills=(*self.lone_kills, record))
            if known.lone_kills.count(record) < _LONE_KILLS:
                return known, TryAgain(task)
        if len(task.crashing) >= _MOST_CRASHING:
            reason = (
                f"The model crashed its process on more than {_MOST_CRASHING} records of split {task.split.index}."
            )
            return known, GiveUp(reason)
        message = f"The model crashed its process: it {end} when it was given this record alone."
        crashing = (*task.crashing, record)
        return known, TryAgain(replace(task, careful=True, crashing=crashing, crash_message=message))


@dataclass(frozen=True)
class ProcessStarts:
    """What is known of the starts of a pool's processes.

    Attributes:
      failed: processes in a row that died before they had loaded the model.
      ever_ready: one has loaded it.
    """

    failed: int = 0
    ever_ready: bool = False

    def after_ready(self) -> ProcessStarts:
        """A process has loaded the model."""
        return ProcessStarts(0, ever_ready=True)

    def after_death(self, task: Task, end: ProcessEnd, said: str) -> tuple[ProcessStarts, Instruction]:
        """What is known after a process has died before it was ready, and what to do.

        Args:
          task: the attempt that it was to make.
          end: how it ended.
          said: the end of what it had written to stderr.
        """
        known = replace(self, failed=self.failed + 1)
        if known.failed < (_FAILED_RESTARTS if self.ever_ready or end.killed else _FAILED_STARTS):
            return known, TryAgain(task)
        quoted = f" It had written: {said}" if said else ""
        return known, GiveUp(f"A worker process {end} before it had loaded the model.{quoted}")
