"""What tests of models and of scoring start from: signatures and lines, in one line each."""

from __future__ import annotations

import numpy as np
import pytest

from batchpredict.errors import RecordRefused
from batchpredict.formats.records import Run
from batchpredict.models.columns import Array, Column
from batchpredict.models.signature import Signature, TensorSpec


class Make:
    """Builds what many tests start from, in one line each."""

    @staticmethod
    def signature(**inputs: tuple[str, tuple[int | None, ...] | None]) -> Signature:
        """A signature with these inputs: alias to dtype and shape of one row."""
        specs = [
            TensorSpec(alias, dtype, None if row is None else (None, *row))
            for alias, (dtype, row) in sorted(inputs.items())
        ]
        return Signature("serving_default", tuple(specs), (TensorSpec("y", "float32", (None,)),))

    @staticmethod
    def run(*lines: bytes) -> Run:
        """Lines of a file, as its reader hands them over."""
        return Run(list(lines), offset=0, index=0, raw=list(lines), framing=1)

    @staticmethod
    def array(column: Column) -> Array:
        """A column of rows of one shape, whose values are not scalar strings."""
        assert isinstance(column, np.ndarray)
        return column

    @staticmethod
    def messages(refusals: dict[int, RecordRefused]) -> dict[int, str]:
        return {row: refused.message for row, refused in refusals.items()}


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make
