"""The base of every message of the Job resource, and how its rules are written.

A message is a frozen pydantic model whose fields have the proto's snake_case names. A reader may spell each
field so or in camelCase; `to_wire` writes camelCase and leaves out what is not set. Rules about one field are
in its type; rules between fields are methods marked with `rule`, which `batchpredict.job.reading` runs after
the types were checked, so that one answer names everything that is wrong.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, ClassVar, TypeVar

from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import Self

from batchpredict.job.scalars import (
    Bool,
    Count32,
    Count64,
    Double,
    Duration,
    Int32,
    Int64,
    Item,
    NonBlank,
    Positive32,
    Positive64,
    Timestamp,
    WireEnum,
    refuse,
    shown,
)

__all__ = [
    "BROKEN",
    "DRAFT",
    "Bool",
    "Count32",
    "Count64",
    "Double",
    "Duration",
    "Echoed",
    "Findings",
    "Int32",
    "Int64",
    "Item",
    "Location",
    "NonBlank",
    "Positive32",
    "Positive64",
    "Timestamp",
    "Wire",
    "WireEnum",
    "refuse",
    "rule",
    "shown",
    "to_camel",
]

Location = tuple[str | int, ...]
"""Where in a message: field names in snake_case, and indices of lists."""

Findings = Iterator[tuple[Location, str]]
"""What a rule yields: where, relative to its message, and what is wrong there."""

_Rule = TypeVar("_Rule", bound=Callable[[Any], Findings])


class _Broken:
    """Stands in a draft for a field that is missing or could not be read. False, so it counts as unset."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "BROKEN"


BROKEN: Any = _Broken()

# The validation context under which a message with faults is read all the same, with BROKEN in their places.
DRAFT = object()


def rule(*reads: str) -> Callable[[_Rule], _Rule]:
    """Marks a method of a message as a rule about the fields `reads`.

    A rule whose fields are not all readable is left out: it would only repeat what was said about them.
    """

    def mark(method: _Rule) -> _Rule:
        method.reads = reads  # type: ignore[attr-defined]
        return method

    return mark


class Wire(BaseModel):
    """One message: frozen, unknown fields refused, every spelling of a known field accepted.

    Building one by keyword checks the types of its fields; the rules between fields are checked by the
    `parse` of a whole Job. An explicit null means unset, as in proto3 JSON.
    """

    # Schemas are built at first use: a command that only prints its help does not pay for them.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        protected_namespaces=(),
        alias_generator=AliasGenerator(serialization_alias=to_camel),
    )

    # A second name on the wire for a field: written beside the first, and accepted together with it if equal.
    also_written: ClassVar[Mapping[str, str]] = {}

    @classmethod
    @functools.cache
    def spellings(cls) -> Mapping[str, str]:
        """Every name a reader may use, and the field it means."""
        # Asked for by each message that is read: made anew each time, it was a sixth of reading and checking a job.
        names = {to_camel(name): name for name in cls.model_fields}
        names.update({name: name for name in cls.model_fields})
        names.update(cls.also_written)
        return names

    @classmethod
    def rules(cls) -> Iterator[Callable[[Any], Findings]]:
        """The methods marked with `rule`, in the order they are written."""
        for base in reversed(cls.__mro__):
            # Functions only: to ask a deferred schema for an attribute would build it, and change the class.
            for member in list(vars(base).values()):
                if isinstance(member, FunctionType) and hasattr(member, "reads"):
                    yield member

    @model_validator(mode="before")
    @classmethod
    def _spell(cls, data: Any, info: ValidationInfo) -> Any:
        """Rename to snake_case. A field given twice keeps its second value under a name that is refused."""
        draft = info.context is DRAFT
        if not isinstance(data, Mapping):
            # In a draft, what is no object is one of which nothing is known: its neighbours are read on.
            return dict.fromkeys(cls.model_fields, BROKEN) if draft else data
        known, named = cls.spellings(), {}
        for key, value in data.items():
            name = known.get(key)
            if name is None:
                if not draft:
                    named[key] = value
            elif value is None:
                continue
            elif name not in named:
                named[name] = value
            elif name not in cls.also_written.values() or named[name] != value:
                named[name if draft else to_camel(name)] = BROKEN if draft else value
        if draft:
            for name, field in cls.model_fields.items():
                if field.is_required():
                    named.setdefault(name, BROKEN)
        return named

    @field_validator("*", mode="wrap", check_fields=False)
    @classmethod
    def _or_broken(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if info.context is not DRAFT:
            return handler(value)
        try:
            return BROKEN if value is BROKEN else handler(value)
        except ValidationError:
            return BROKEN

    def to_wire(self) -> dict[str, Any]:
        """The message as JSON values: camelCase, int64 as strings, unset fields absent."""
        written = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for also, name in self.also_written.items():
            if to_camel(name) in written:
                written[also] = written[to_camel(name)]
        return written


class Echoed(Wire):
    """A message that the service gives back exactly as it was sent.

    Clients (Airflow, Kubeflow Pipelines) create a job again after a crash, meet ALREADY_EXISTS, and compare
    the stored input with theirs: a filled-in default, a "64" for a 64 or a respelled key would fail them.
    Two messages are equal if they ask for the same, however it was spelled.
    """

    _sent: str | None = PrivateAttr(default=None)

    def sent_as(self, document: Mapping[str, Any]) -> Self:
        """This message, with `document` as what `echo` gives back."""
        copy = self.model_copy()
        copy._sent = json.dumps(document)
        return copy

    def echo(self) -> dict[str, Any]:
        """A fresh copy of the document this was read from; `to_wire()` if it was not read from one."""
        return self.to_wire() if self._sent is None else dict(json.loads(self._sent))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copy = super().model_copy(update=dict(update) if update else None, deep=deep)
        if update:
            copy._sent = None
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return dict(self) == dict(other)

    # Python unsets __hash__ beside an __eq__; pydantic puts its own, over the fields, in the place of None.
