"""What a SavedModel takes and gives, in terms that need no TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from batchpredict.errors import ModelUnusable

DEFAULT_SIGNATURE = "serving_default"
SERVE_TAG = "serve"

# TensorFlow keeps its initialisation among the signatures.
_HIDDEN = "__saved_model_"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
      alias: its name in the signature.
      dtype: TensorFlow's name of the element type: "float32", "int64", "string", "bool", …
      shape: sizes with None for an unknown one, the batch dimension first; None if even the rank is unknown.
      batched: its first dimension is the batch. If not, all of it is one value: of an input, what a whole call is
        given; of an output, what every record of a call gets.
      sparse: an input that is a SparseTensor: the value of an instance is the list of its row's values, which
        stand in the columns 0, 1, … of the row.
    """

    alias: str
    dtype: str
    shape: tuple[int | None, ...] | None
    batched: bool = True
    sparse: bool = False

    @property
    def row_shape(self) -> tuple[int | None, ...] | None:
        """The shape of one instance's value: `shape` without the batch dimension, lists of any length if sparse."""
        if self.sparse:
            return (None,) if self.shape is None else (None,) * (len(self.shape) - 1)
        if self.shape is None:
            return None
        return self.shape[1:] if self.batched else self.shape

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{'sparse ' if self.sparse else ''}{self.dtype} [{sizes}]"


@dataclass(frozen=True)
class Signature:
    """A named function of a SavedModel. `inputs` and `outputs` are sorted by alias.

    What has no batch dimension is treated by these rules, whatever the size of a batch:

    * an input of shape () beside batched ones has one value a call: records with equal values share calls, others
      do not;
    * where no input has a batch dimension, a call is one record, and all that comes out is that record's;
    * an output without a batch dimension that depends on no input (a list of labels, say) is given to every record
      whole; one that depends on inputs is a value of the whole batch and not of a record, so the signature is
      refused.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def single_string_input(self) -> TensorSpec | None:
        """The only input, if it is the only one and of strings: a record then goes in as it is."""
        if len(self.inputs) == 1 and self.inputs[0].dtype == "string" and not self.inputs[0].sparse:
            return self.inputs[0]
        return None

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the graph was built for, or None if it takes any."""
        return batch_of(self.inputs)

    @property
    def unbatched(self) -> bool:
        """Whether a call is one record: no input has a batch dimension."""
        return is_unbatched(self.inputs)

    @property
    def call_values(self) -> tuple[str, ...]:
        """Inputs that have one value a call, beside others that have one for each record."""
        return () if self.unbatched else tuple(spec.alias for spec in self.inputs if not spec.batched)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What somebody who scores records with this signature should know of how it is called."""
        if self.unbatched:
            return (f"no input of signature {self.name} has a batch dimension, so a model call is one record",)
        inputs = (
            f"input {alias} of signature {self.name} has no batch dimension, so only records with equal values "
            "of it share a model call"
            for alias in self.call_values
        )
        outputs = (
            f"output {spec.alias} of signature {self.name} has no batch dimension and depends on no input, so "
            "every prediction holds all of it"
            for spec in self.outputs
            if not spec.batched
        )
        return (*inputs, *outputs)


def is_unbatched(inputs: Sequence[TensorSpec]) -> bool:
    """Whether a call with these inputs is one record: there are inputs, and none has a batch dimension."""
    return bool(inputs) and not any(spec.batched for spec in inputs)


def batch_of(inputs: Iterable[TensorSpec]) -> int | None:
    """The batch size that the inputs of a graph were built for, or None if they take any."""
    sizes = {spec.shape[0] for spec in inputs if spec.shape and spec.batched and not spec.sparse}
    return next((size for size in sizes if size is not None), None)


def choose_signature(names: Collection[str], asked: str | None) -> str:
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


def offered_names(names: Iterable[str]) -> list[str]:
    """Those of a meta graph's signatures that a caller may use, in the order of their names."""
    return sorted(name for name in names if not name.startswith(_HIDDEN))


def choose_tags(tags: Sequence[Collection[str]]) -> int:
    """Which meta graph to use, by the tags of each: the one for serving, else the only one, else the first for
    serving and something else.

    Raises:
      ModelUnusable: there is none, or several and none is for serving.
    """
    several = [sorted(names) for names in tags]
    if not several:
        raise ModelUnusable("it holds no graph")
    if [SERVE_TAG] in several:
        return several.index([SERVE_TAG])
    if len(several) == 1:
        return 0
    for index, names in enumerate(several):
        if SERVE_TAG in names:
            return index
    have = "; ".join(", ".join(names) or "no tag" for names in several)
    raise ModelUnusable(f"none of its graphs is tagged {SERVE_TAG}: their tags are {have}")
