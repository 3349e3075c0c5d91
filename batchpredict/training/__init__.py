"""Training jobs: a Python package trained on as many machines as its scale tier says, launched by a Beam pipeline,
and the search for hyperparameters.

What is promised, on every runner:

* each replica of the cluster is run by one process at a time, never by two (`gang`);
* a replica, or the machine that it is on, may die at any moment: the trainer is started again, a bounded number of
  times, and goes on from what it has saved in jobDir;
* a trial that has ended is never run again, whatever dies (`trials`);
* when the job is over, no process of it is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.training.packing import pack
    from batchpredict.training.progress import Snapshot
    from batchpredict.training.work import TrainingWork

__all__ = ["Snapshot", "TrainingWork", "pack"]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {"Snapshot": "progress", "TrainingWork": "work", "pack": "packing"},
    )
