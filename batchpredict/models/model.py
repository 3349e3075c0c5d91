"""What the hot path needs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from batchpredict.models.columns import Array, Column
from batchpredict.models.signature import Signature

Outputs: TypeAlias = "dict[str, Array]"
"""One array per output alias, rows along the first dimension."""


class Model(Protocol):
    """One signature of a model, ready to be called. Used by one thread at a time.

    Both calls raise RecordRefused if the graph fails or its outputs do not have a row for each instance. Both
    give bit for bit the same values for the same batches.
    """

    @property
    def signature(self) -> Signature: ...

    @property
    def can_chain(self) -> bool:
        """Whether `call_chain` may be used: the shape of every output row is known in advance."""
        ...

    def call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        """One model call with `count` rows."""
        ...

    def call_chain(self, columns: Mapping[str, Column], count: int, batch_size: int) -> Outputs:
        """`count / batch_size` model calls of exactly `batch_size` rows each, with one crossing into C++."""
        ...
