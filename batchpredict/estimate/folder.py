"""What `predict` would say of a job's output folder. Nothing is written there, and no folder is made."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import OutputRefused
from batchpredict.ledger import ManifestFeed, Plan, Staging, finished_output, load_plan, occupancy, refuse_others


@dataclass(frozen=True)
class Folder:
    """An output folder as a job would find it.

    Attributes:
      refusal: why the job would be refused; "" if it would not.
      finished: this very job is done, and nothing would be scored.
      committed: splits that earlier runs of this job have committed.
      checked: it is known whether it can be written to. Of a store that shows only when something is written.
    """

    refusal: str = ""
    finished: bool = False
    committed: int = 0
    checked: bool = True


def look(output_path: str, plan: Plan, *, overwrite: bool, fresh: bool) -> Folder:
    """Look into the output folder of a job.

    Raises:
      StagingDamaged: what an earlier run has left there is not whole.
    """
    staging = Staging(output_path, plan.fingerprint)
    checked = storage.is_local(output_path)
    try:
        refuse_others(staging, occupancy(output_path), overwrite=overwrite)
        if checked:
            _refuse_unwritable(output_path)
        if fresh:
            return Folder(checked=checked)
        if finished_output(staging) is not None:
            return Folder(finished=True, committed=plan.splits, checked=checked)
        if not storage.exists(staging.plan):
            return Folder(checked=checked)
        committed = ManifestFeed(staging, load_plan(staging)).poll().splits_done
    except OutputRefused as error:
        return Folder(refusal=str(error), checked=checked)
    return Folder(committed=committed, checked=checked)


def _refuse_unwritable(output_path: str) -> None:
    """Refuse a folder of this machine in which nothing can be made.

    Raises:
      OutputRefused: with what the system would say.
    """
    path = os.path.abspath(storage.local_path(output_path))
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    number = 0
    if not os.path.isdir(path):
        number = errno.ENOTDIR
    elif not os.access(path, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
    if number:
        error = OSError(number, os.strerror(number), path)
        raise OutputRefused(f"outputPath: cannot write to '{output_path}': {error}")
