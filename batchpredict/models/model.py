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

    Both calls give bit for bit the same values for the same batches, and raise the same.
    """

    @property
    def signature(self) -> Signature: ...

    def call(self, columns: Mapping[str, Column], count: int) -> Outputs:
        """One model call with `count` rows: one row if the signature is `unbatched`, and rows with equal values of
        its `call_values`.

        Raises:
          RecordRefused: the graph fails on these rows, or its outputs do not have a row for each of them.
          BatchTooLarge: the device's memory does not hold so many rows.
          ModelUnusable: the model itself fails: no other rows would fare better.
          DeviceFailed: the device fails; a fresh process may have better luck.
        """
        ...

    def call_batches(self, columns: Mapping[str, Column], count: int, batch_size: int) -> list[Outputs]:
        """`count / batch_size` model calls of exactly `batch_size` rows each, with little Python between them.

        Rows are as `call` takes them, of one shape in each column. What comes back is the outputs of all rows, in
        one piece or in several, one behind the other.
        """
        ...
