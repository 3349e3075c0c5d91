"""Fields that go past the model: `instanceConfig` applied to JSON instances and to tf.Examples.

The model gets what `includedFields` names, or all but what `excludedFields` names; the key never goes in (of
a tf.Example it may: a graph takes from an Example only what it asks for). Everything that does not go in
comes back on the prediction under its own name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchpredict.errors import INVALID_INPUTS, RecordRefused


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

    def divide(self, instance: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """An instance's fields for the model, and those that are carried past it, the key first.

        Raises:
          RecordRefused: not an object, or without the key.
        """
        if not isinstance(instance, Mapping):
            raise RecordRefused(
                INVALID_INPUTS, "The instance is not an object, so it has no fields to choose from."
            )
        carried: dict[str, Any] = {}
        if self.key is not None:
            if self.key not in instance:
                raise RecordRefused(INVALID_INPUTS, f"The key field {self.key} is missing from the instance.")
            carried[self.key] = instance[self.key]
        goes_in: dict[str, Any] = {}
        for name, value in instance.items():
            if self.goes_in(name):
                goes_in[name] = value
            else:
                carried[name] = value
        return goes_in, carried


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
        import tensorflow as tf

        self._rule = rule
        self._parse = tf.train.Example.FromString

    def divide(self, payload: bytes) -> tuple[bytes, dict[str, Any]]:
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
        carried: dict[str, Any] = {}
        if rule.key is not None:
            if rule.key not in features:
                raise RecordRefused(INVALID_INPUTS, f"The key field {rule.key} is missing from the instance.")
            carried[rule.key] = _feature_value(features[rule.key])
        removed = sorted(name for name in features if name != rule.key and not rule.goes_in(name))
        for name in removed:
            carried[name] = _feature_value(features[name])
            del features[name]
        return (example.SerializeToString(deterministic=True) if removed else payload), carried


def _feature_value(feature: Any) -> Any:
    """A feature as JSON: its only value, or the list of its values; bytes as text where they are UTF-8."""
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = list(getattr(feature, kind).value)
    return values[0] if len(values) == 1 else values
