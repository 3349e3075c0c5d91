"""One split, from its bytes to its committed part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.scoring.hotpath import SplitPredictor
    from batchpredict.scoring.place import Place, Range
    from batchpredict.scoring.task import Task, Watch

__all__ = [
    "Place",
    "Range",
    "SplitPredictor",
    "Task",
    "Watch",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Place": "place",
            "Range": "place",
            "SplitPredictor": "hotpath",
            "Task": "task",
            "Watch": "task",
        },
    )
