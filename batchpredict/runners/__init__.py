"""Runners: one work of any kind, on the engine that is asked for.

No kind of work is known here. Each implements `Work`; see `work` for what that takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.runners.channel import Channel
    from batchpredict.runners.choice import DIRECT, check_runner, choose, import_engine, in_this_process
    from batchpredict.runners.dataflow import DataflowRunner
    from batchpredict.runners.dataflow_service import Service
    from batchpredict.runners.drive import run, silence_threads
    from batchpredict.runners.flags import check_known, closest, spelled, take_runner
    from batchpredict.runners.interface import Execution, Runner
    from batchpredict.runners.log_file import summary_line
    from batchpredict.runners.step import Step
    from batchpredict.runners.work import Driver, Needs, Observer, Unobserved, Work

__all__ = [
    "DIRECT",
    "Channel",
    "DataflowRunner",
    "Driver",
    "Execution",
    "Needs",
    "Observer",
    "Runner",
    "Service",
    "Step",
    "Unobserved",
    "Work",
    "check_known",
    "check_runner",
    "choose",
    "closest",
    "import_engine",
    "in_this_process",
    "run",
    "silence_threads",
    "spelled",
    "summary_line",
    "take_runner",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Channel": "channel",
            "DIRECT": "choice",
            "DataflowRunner": "dataflow",
            "Driver": "work",
            "Execution": "interface",
            "Needs": "work",
            "Observer": "work",
            "Runner": "interface",
            "Service": "dataflow_service",
            "Step": "step",
            "Unobserved": "work",
            "Work": "work",
            "check_known": "flags",
            "check_runner": "choice",
            "choose": "choice",
            "closest": "flags",
            "import_engine": "choice",
            "in_this_process": "choice",
            "summary_line": "log_file",
            "run": "drive",
            "silence_threads": "drive",
            "spelled": "flags",
            "take_runner": "flags",
        },
    )
