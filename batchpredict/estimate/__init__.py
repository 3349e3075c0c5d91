"""What a prediction job would be, by a sample that is scored as the job would: errors, sizes, time and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.estimate.document import to_document
    from batchpredict.estimate.estimating import Telling, estimate
    from batchpredict.estimate.report import Wishes

__all__ = [
    "Telling",
    "Wishes",
    "estimate",
    "to_document",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Telling": "estimating",
            "Wishes": "report",
            "estimate": "estimating",
            "to_document": "document",
        },
    )
