"""Scoring again only what failed: the named errors of a finished job as the records of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.rescoring.document import complete
    from batchpredict.rescoring.finished_job import FinishedJob
    from batchpredict.rescoring.planning import plan_errors

__all__ = [
    "FinishedJob",
    "complete",
    "plan_errors",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "FinishedJob": "finished_job",
            "complete": "document",
            "plan_errors": "planning",
        },
    )
