"""How many worker processes a machine of a cluster runs: one for each of its cores.

A cluster may run several processes with steps of one pipeline on a machine, each of which would start workers for
all of the cores. So each further worker needs a slot of the machine, which is a lock on a file of it: it is shared
by all who ask, and comes back when its holder dies, however.
"""

from __future__ import annotations

import fcntl
import os

from batchpredict.workers.devices import locks_folder


class Slot:
    """A slot that is held until `release`, or the end of this process."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class MachineSlots:
    """The slots of this machine.

    Args:
      count: how many there are.
      folder: where the lock files are, the same for every process of the machine. Default: below
        `devices.locks_folder()`.
    """

    def __init__(self, count: int, folder: str | None = None) -> None:
        self._count = count
        self._folder = folder or os.path.join(locks_folder(), f"batchpredict-slots-{os.getuid()}")

    def claim(self) -> Slot | None:
        """A slot that nobody holds; None if all are taken."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        for number in range(self._count):
            handle = os.open(os.path.join(self._folder, str(number)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return Slot(handle)
        return None
