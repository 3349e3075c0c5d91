"""Continuous prediction: files that keep arriving, scored in epochs, each an ordinary job over what none has taken.

    Watch        the loop (`watch.py`): decides by `machine.py` and `files.py`, which are pure
    Log, State   what happened, in one order for all watchers of an output (`log.py`, `state.py`)
    Ledger       the files that were taken, by which epoch, read in order (`runs.py`)

Exactly once rests on three things. Files are claimed for an epoch by one event, which is written only by a
watcher that knows every event before it. An epoch has one output folder for good, and the results in a folder are
of one job. And a job commits each of its splits once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.epochs.execution import Execution, ResultsFolder, source_of
    from batchpredict.epochs.files import Changed
    from batchpredict.epochs.folder import Folder
    from batchpredict.epochs.interface import ChangedInput, Ending, Finished, Pace
    from batchpredict.epochs.listing import Wanted, refuse_inputs_in_output
    from batchpredict.epochs.machine import Step
    from batchpredict.epochs.models import FixedModel, NewestVersion
    from batchpredict.epochs.state import Epoch, State
    from batchpredict.epochs.watch import Watch

__all__ = [
    "Changed",
    "ChangedInput",
    "Ending",
    "Epoch",
    "Execution",
    "Finished",
    "FixedModel",
    "Folder",
    "NewestVersion",
    "Pace",
    "ResultsFolder",
    "State",
    "Step",
    "Wanted",
    "Watch",
    "refuse_inputs_in_output",
    "source_of",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Changed": "files",
            "ChangedInput": "interface",
            "Ending": "interface",
            "Epoch": "state",
            "Execution": "execution",
            "Finished": "interface",
            "FixedModel": "models",
            "Folder": "folder",
            "NewestVersion": "models",
            "Pace": "interface",
            "ResultsFolder": "execution",
            "State": "state",
            "Step": "machine",
            "Wanted": "listing",
            "Watch": "watch",
            "refuse_inputs_in_output": "listing",
            "source_of": "execution",
        },
    )
