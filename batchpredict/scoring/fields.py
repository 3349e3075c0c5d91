"""Fields that go past the model: `instanceConfig` applied to JSON instances and to tf.Examples.

The model gets what `includedFields` names, or all but what `excludedFields` names; the key never goes in (of
a tf.Example it may: a graph takes from an Example only what it asks for). Everything that does not go in
comes back on the prediction under its own name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from batchpredict.errors import INVALID_INPUTS, InvalidJob, RecordRefused, Violation
from batchpredict.models import json_text

Carried: TypeAlias = dict[str, bytes]
"""The fields of one record that are carried past the model: JSON texts by name, the key first."""


@dataclass(frozen=True)
class FieldRule:
    """Which fields of an instance go to the model and which come back on the prediction.

    Attributes:
      key: field that identifies an instance; must be there, comes back, never goes in.
      included: if not empty, only these go in.
      excluded: these do not go in.
    """

    key: str | None = None
    included: frozenset[str] = field(default_factory=frozenset)
    excluded: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.key is not None or self.included or self.excluded)

    def goes_in(self, name: str) -> bool:
        if name == self.key or name in self.excluded:
            return False
        return not self.included or name in self.included

    def check(self, aliases: Sequence[str]) -> None:
        """Raises InvalidJob if an input of the model, known by its alias, never goes in."""
        kept = next((alias for alias in aliases if not self.goes_in(alias)), None)
        if kept is None:
            return
        if kept == self.key:
            name, why = "key_field", "it cannot be the key, which the model does not get."
        elif kept in self.excluded:
            name, why = "excluded_fields", "it cannot be excluded."
        else:
            name, why = "included_fields", "it must be among them."
        text = f'"{kept}" is an input of the model: {why}'
        raise InvalidJob([Violation(f"prediction_input.instance_config.{name}", text)])

    def carried(self, names: Iterable[str]) -> list[str]:
        """Those of an instance's fields that are carried past the model, the key first, else in their order.

        Raises:
          RecordRefused: the key is not among them.
        """
        past = [name for name in names if not self.goes_in(name)]
        if self.key is None:
            return past
        if self.key not in past:
            raise RecordRefused(INVALID_INPUTS, f"The key field {self.key} is missing from the instance.")
        return [self.key, *(name for name in past if name != self.key)]

    def divide(self, instance: object) -> tuple[dict[str, Any], list[str]]:
        """An instance's fields for the model, and the names of those that are carried past it, the key first.

        Raises:
          RecordRefused: not an object, or without the key.
        """
        if not isinstance(instance, Mapping):
            raise RecordRefused(
                INVALID_INPUTS, "The instance is not an object, so it has no fields to choose from."
            )
        goes_in = {name: value for name, value in instance.items() if self.goes_in(name)}
        return goes_in, self.carried(instance)


def unexpected(alias: str, names: Iterable[str]) -> str:
    """The service's words for an instance whose fields are not the one that a single input asks for."""
    return f"Expected tensor name: {alias}, got tensor name: {', '.join(names) or 'none'}."


def unfit(names: Collection[str], aliases: Sequence[str]) -> str | None:
    """The service's words for fields that are not just the inputs of a signature; None if they are."""
    if len(aliases) == 1 and list(names) != list(aliases):
        return unexpected(aliases[0], names)
    for name in names:
        if name not in aliases:
            return f"Unexpected tensor name: {name}"
    for alias in aliases:
        if alias not in names:
            return f"Input {alias} was missing in at least one input instance."
    return None


class ExampleFields:
    """A `FieldRule` for serialized tf.Examples. Needs TensorFlow, as only a worker does."""

    def __init__(self, rule: FieldRule) -> None:
        from batchpredict.models import parse_example

        self._rule = rule
        self._parse = parse_example

    def divide(self, payload: bytes) -> tuple[bytes, Carried]:
        """The Example to give to the model, and the fields that are carried past it.

        The key stays in the Example; features that must not go in are taken out and it is serialized again.

        Raises:
          RecordRefused: not a tf.Example, or without the key.
        """
        try:
            example = self._parse(payload)
        except Exception as error:
            raise RecordRefused(INVALID_INPUTS, "The record is not a serialized tf.Example.") from error
        features = example.features.feature
        rule = self._rule
        names = rule.carried(sorted(features))
        carried = {name: json_text(_feature_value(features[name])) for name in names}
        removed = [name for name in names if name != rule.key]
        for name in removed:
            del features[name]
        return (example.SerializeToString(deterministic=True) if removed else payload), carried


def _feature_value(feature: Any) -> Any:
    """A feature's only value, or the list of its values."""
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = list(getattr(feature, kind).value)
    return values[0] if len(values) == 1 else values
