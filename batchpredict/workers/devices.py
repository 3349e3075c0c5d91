"""Which worker process may use which GPU: at most one process for each, the rest on the CPU.

A claim is a lock on a file of the machine, so that workers of several runners or jobs share the GPUs too, and
so that a process that dies, however, gives its GPU back.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import tempfile
from collections.abc import MutableMapping, Sequence


def visible_gpus(environ: MutableMapping[str, str] | None = None) -> list[str]:
    """Identifiers of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES would name them.

    Asks the driver's device files, not TensorFlow, which would take hold of every GPU to count them.
    """
    named = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        gpus = []
        for name in (part.strip() for part in named.split(",")):
            if name in ("", "-1"):
                break  # CUDA ignores whatever comes after an invalid one.
            gpus.append(name)
        return gpus
    numbers = (re.fullmatch(r"/dev/nvidia(\d+)", path) for path in glob.glob("/dev/nvidia*"))
    return [str(number) for number in sorted(int(found[1]) for found in numbers if found)]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def locks_folder() -> str:
    """Where locks are that all processes of a machine share: $BATCHPREDICT_LOCKS, else its temporary folder.

    The variable is for processes that are given a temporary folder of their own.
    """
    return os.environ.get("BATCHPREDICT_LOCKS") or tempfile.gettempdir()


class DeviceClaim:
    """A claim on one GPU, held until `release` or the end of the process. `gpu` is None for the CPU."""

    def __init__(self, gpu: str | None, handle: int | None) -> None:
        self.gpu = gpu
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def apply(self, environ: MutableMapping[str, str]) -> None:
        """Make TensorFlow, not yet imported, see just the claimed device, and take its memory as needed."""
        environ["CUDA_VISIBLE_DEVICES"] = "-1" if self.gpu is None else self.gpu
        if self.gpu is not None:
            environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


def claim(gpus: Sequence[str], folder: str | None = None) -> DeviceClaim:
    """Claim the first GPU that no other process holds; the CPU if all are taken or there is none.

    Args:
      gpus: identifiers of the GPUs to choose from.
      folder: where the lock files are; the same for every process of the machine. Default: below
        `locks_folder()`.
    """
    locks = folder or os.path.join(locks_folder(), f"batchpredict-gpus-{os.getuid()}")
    if gpus:
        os.makedirs(locks, mode=0o700, exist_ok=True)
    for gpu in gpus:
        name = re.sub(r"[^A-Za-z0-9-]", "_", gpu)
        handle = os.open(os.path.join(locks, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        return DeviceClaim(gpu, handle)
    return DeviceClaim(None, None)
