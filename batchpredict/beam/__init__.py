"""SavedModels in pipelines of users: a `ModelHandler` for Beam's `RunInference`.

A pipeline over files that counts and resumes is `batchpredict.BatchPredict`; this is for elements that are in a
pipeline already, of a stream for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.beam.handler import SavedModelHandler

__all__ = ["SavedModelHandler"]

if not TYPE_CHECKING:
    __getattr__ = lazily(__name__, {"SavedModelHandler": "handler"})
