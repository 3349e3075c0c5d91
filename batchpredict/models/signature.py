"""What a SavedModel takes and gives, in terms that need no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from batchpredict.errors import ModelUnusable

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
      alias: its name in the signature.
      dtype: TensorFlow's name of the element type: "float32", "int64", "string", "bool", …
      shape: sizes with None for an unknown one, the batch dimension first; None if even the rank is unknown.
    """

    alias: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def row_shape(self) -> tuple[int | None, ...] | None:
        """The shape of one instance's value: `shape` without the batch dimension."""
        return None if self.shape is None else self.shape[1:]

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.dtype} [{sizes}]"


@dataclass(frozen=True)
class Signature:
    """A named function of a SavedModel. `inputs` and `outputs` are sorted by alias."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def single_string_input(self) -> TensorSpec | None:
        """The only input, if it is the only one and of strings: a record then goes in as it is."""
        if len(self.inputs) == 1 and self.inputs[0].dtype == "string":
            return self.inputs[0]
        return None

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the graph was built for, or None if it takes any."""
        sizes = {spec.shape[0] for spec in self.inputs if spec.shape}
        return next((size for size in sizes if size is not None), None)

    @property
    def fixed_rows(self) -> bool:
        """All outputs have one row shape, known in advance, so outputs of several calls can be joined."""
        return all(spec.row_shape is not None and None not in spec.row_shape for spec in self.outputs)


def choose(names: Collection[str], asked: str | None) -> str:
    """The signature to use, by the service's rule: the only one, else the one asked for, else the default.

    Raises:
      ModelUnusable: there is no such signature.
    """
    if asked is None and len(names) == 1:
        return next(iter(names))
    wanted = asked or DEFAULT_SIGNATURE
    if wanted not in names:
        have = ", ".join(sorted(names)) or "none at all"
        raise ModelUnusable(f"No signature found for signature key {wanted}. The model has: {have}.")
    return wanted
