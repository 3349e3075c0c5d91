"""One split, from its bytes to its committed part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.scoring.batches import Piece, Scorer
    from batchpredict.scoring.decode import columnarize, json_values
    from batchpredict.scoring.hotpath import SplitPredictor
    from batchpredict.scoring.place import Place, Range
    from batchpredict.scoring.task import Task, Watch

__all__ = [
    "Piece",
    "Place",
    "Range",
    "Scorer",
    "SplitPredictor",
    "Task",
    "Watch",
    "columnarize",
    "json_values",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Piece": "batches",
            "Place": "place",
            "Range": "place",
            "Scorer": "batches",
            "SplitPredictor": "hotpath",
            "Task": "task",
            "columnarize": "decode",
            "json_values": "decode",
            "Watch": "task",
        },
    )
