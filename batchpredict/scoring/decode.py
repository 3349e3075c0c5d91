"""Records to instances: the service's rules for what a line or a record means to a model, to the letter.

The rules are those of kubeflow/batch-predict (`PredictionDoFn.process`):

1. a signature with exactly one input, of strings, gets the record as it is: no JSON, no base64;
2. any other record is JSON, and an object whose only key is "b64" is base64 data, at any depth;
3. with one input, an instance that is no object is that input's value; an object must have just that key;
4. with several, an instance is an object with a field for each input and nothing else.

What differs: there a bad record took its whole batch with it, here it is refused alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from batchpredict.errors import INVALID_INPUTS, RecordRefused
from batchpredict.formats import Rows, Run
from batchpredict.models import Array, Column, Refusals, Signature, take, to_column
from batchpredict.scoring.bulk import BulkParser
from batchpredict.scoring.fields import Carried, ExampleFields, FieldRule, unexpected, unfit
from batchpredict.scoring.instances import Instances, Origin
from batchpredict.scoring.json_fields import field_texts, same_fields
from batchpredict.scoring.json_text import (
    TOO_DEEP,
    decode_all_base64,
    decode_base64,
    may_hold_base64,
    not_utf8,
    parse_json,
    refuse_out_of_range,
)

Decoded: TypeAlias = tuple[dict[str, Column], "list[Carried] | None", Refusals]
"""Columns by alias, the fields that are carried past the model, and what was refused; a row for each record."""


class Decoder:
    """Turns runs of records into `Instances` for one signature.

    Args:
      signature: what the model takes.
      rule: which fields go past the model.
      text: the records are lines of text, which must be UTF-8; otherwise they are TFRecords.

    Raises:
      InvalidJob: the rule keeps an input from the model, so that no record could be scored.
    """

    def __init__(self, signature: Signature, rule: FieldRule, *, text: bool) -> None:
        self._signature = signature
        self._rule = rule
        self._text = text
        self._bulk: BulkParser | None = None
        self._decode = self._choose()

    def _choose(self) -> Callable[[list[bytes]], Decoded]:
        inputs = self._signature.inputs
        if self._signature.single_string_input is None or self._text:
            # A tf.Example is one input whatever fields it has.
            self._rule.check([spec.alias for spec in inputs])
        if self._signature.single_string_input is None:
            if len(inputs) == 1 and BulkParser.takes(inputs[0]):
                self._bulk = BulkParser(inputs[0])
            if self._rule:
                return self._decode_fields
            return self._decode_json if self._bulk is None else self._decode_numbers
        if not self._rule:
            return self._decode_raw
        if self._text:
            return self._decode_fields
        self._examples = ExampleFields(self._rule)
        return self._decode_examples

    def __call__(self, segment: int, run: Run | Rows) -> tuple[Instances, Refusals]:
        """The instances of a run, and the rows of the run that were refused.

        Refused rows are not among the instances.
        """
        if isinstance(run, Rows):
            from batchpredict.scoring.arrow import decode_rows

            columns, carried, refusals = decode_rows(run.table, self._signature, self._rule)
        else:
            columns, carried, refusals = self._decode(run.payloads)
        count = len(run)
        if not refusals:
            return Instances(count, columns, (Origin(segment, run, range(count)),), carried), refusals
        kept = [row for row in range(count) if row not in refusals]
        return (
            Instances(
                len(kept),
                {alias: take(column, kept) for alias, column in columns.items()} if kept else {},
                (Origin(segment, run, kept),),
                None if carried is None else [carried[row] for row in kept],
            ),
            refusals,
        )

    def _decode_raw(self, payloads: list[bytes]) -> Decoded:
        refusals = not_utf8(payloads) if self._text else {}
        return {self._signature.inputs[0].alias: payloads}, None, refusals

    def _decode_examples(self, payloads: list[bytes]) -> Decoded:
        kept: list[bytes] = []
        carried: list[Carried] = []
        refusals: Refusals = {}
        for row, payload in enumerate(payloads):
            try:
                example, fields = self._examples.divide(payload)
            except RecordRefused as refused:
                refusals[row] = refused
                example, fields = b"", {}
            kept.append(example)
            carried.append(fields)
        return {self._signature.inputs[0].alias: kept}, carried, refusals

    def _decode_numbers(self, payloads: list[bytes]) -> Decoded:
        """For one numeric input: all at once if the texts allow it."""
        assert self._bulk is not None
        array = self._bulk(payloads)
        if array is None:
            return self._decode_json(payloads)
        (spec,) = self._signature.inputs
        column, refusals = to_column(array, spec)
        return {spec.alias: column}, None, refusals

    def _decode_json(self, payloads: list[bytes]) -> Decoded:
        values, refusals = json_values(payloads, text=self._text)
        return columnarize(values, self._signature, refusals), None, refusals

    def _decode_fields(self, payloads: list[bytes]) -> Decoded:
        """With fields that go past the model: at once if all records have the same fields and none is refused."""
        decoded = self._decode_same_fields(payloads)
        if decoded is not None:
            return decoded
        values, refusals, out_of_range = parse_json(payloads, text=self._text)
        inner, carried = divide(values, payloads, self._rule, refusals)
        refuse_out_of_range(inner, out_of_range, refusals)
        decode_all_base64(inner, payloads, refusals)
        return columnarize(inner, self._signature, refusals), carried, refusals

    def _decode_same_fields(self, payloads: list[bytes]) -> Decoded | None:
        fields = same_fields(payloads)
        if not fields:
            return None
        try:
            past = self._rule.carried(fields[0])
        except RecordRefused:
            return None
        inputs = self._signature.inputs
        goes_in = [name for name in fields[0] if self._rule.goes_in(name)]
        if unfit(goes_in, [spec.alias for spec in inputs]):
            return None
        columns: dict[str, Column] = {}
        for spec in inputs:
            texts = [bytes(one[spec.alias]) for one in fields]
            values = self._values(texts)
            if values is None:
                return None
            columns[spec.alias], refusals = to_column(values, spec)
            if refusals:
                return None
        return columns, [{name: bytes(one[name]) for name in past} for one in fields], {}

    def _values(self, texts: list[bytes]) -> Sequence[Any] | Array | None:
        """The values of one input; None if one of them is not what it seems."""
        # The parser of numbers would look for an object's field, which here is one level too deep.
        if self._bulk is not None and not texts[0].startswith(b"{"):
            array = self._bulk(texts)
            if array is not None:
                return array
        joined = b"[" + b",".join(texts) + b"]"
        try:
            values: list[Any] = orjson.loads(joined)
            return [decode_base64(value) for value in values] if may_hold_base64(joined) else values
        except (ValueError, RecursionError):
            return None


def json_values(payloads: Sequence[bytes], *, text: bool) -> tuple[list[Any], Refusals]:
    """What JSON texts say, base64 decoded, and what was refused. `text`: they are lines, which must be UTF-8."""
    values, refusals, out_of_range = parse_json(payloads, text=text)
    refuse_out_of_range(values, out_of_range, refusals)
    decode_all_base64(values, payloads, refusals)
    return values, refusals


def divide(
    values: Sequence[Any], payloads: Sequence[bytes], rule: FieldRule, refusals: Refusals
) -> tuple[list[Any], list[Carried]]:
    """Each instance's fields for the model, and the texts of those that are carried past it."""
    inner: list[Any] = []
    carried: list[Carried] = []
    for row, value in enumerate(values):
        goes_in: Any = None
        past: Carried = {}
        if row not in refusals:
            try:
                goes_in, names = rule.divide(value)
                texts = field_texts(payloads[row]) if names else {}
                past = {name: bytes(texts[name]) for name in names}
            except RecordRefused as refused:
                refusals[row] = refused
            except ValueError:
                refusals[row] = RecordRefused(INVALID_INPUTS, TOO_DEEP)
        inner.append(goes_in)
        carried.append(past)
    return inner, carried


def columnarize(values: Sequence[Any], signature: Signature, refusals: Refusals) -> dict[str, Column]:
    """Instances as one column per input. Adds to `refusals` the rows that do not fit the signature."""
    single = signature.inputs[0].alias if len(signature.inputs) == 1 else None
    if single is not None:
        # Most instances are bare values; to see that none is an object is a tenth of the cost of asking each.
        bare = dict not in set(map(type, values))
        gathered = {
            single: list(values)
            if bare
            else [_single(row, value, single, refusals) for row, value in enumerate(values)]
        }
    else:
        gathered = _several(values, signature, refusals)
    columns: dict[str, Column] = {}
    for spec in signature.inputs:
        good = [row for row in range(len(values)) if row not in refusals] if refusals else None
        wanted = gathered[spec.alias] if good is None else [gathered[spec.alias][row] for row in good]
        column, refused = to_column(wanted, spec)
        if good is None:
            columns[spec.alias] = column
            refusals.update(refused)
        else:
            columns[spec.alias] = _spread(column, good, len(values))
            refusals.update({good[row]: reason for row, reason in refused.items()})
    return columns


def _spread(column: Column, rows: Sequence[int], count: int) -> Column:
    """A column of `rows` as one of `count` rows; what stands in the others does not matter."""
    if not rows:
        return [b""] * count
    position = {row: at for at, row in enumerate(rows)}
    return take(column, [position.get(row, 0) for row in range(count)])


def _single(row: int, value: Any, alias: str, refusals: Refusals) -> Any:
    if type(value) is not dict or row in refusals:
        return value
    if len(value) != 1 or alias not in value:
        refusals[row] = RecordRefused(INVALID_INPUTS, unexpected(alias, value))
        return None
    return value[alias]


def _several(values: Sequence[Any], signature: Signature, refusals: Refusals) -> dict[str, list[Any]]:
    aliases = [spec.alias for spec in signature.inputs]
    width = len(aliases)
    try:
        if all(len(value) == width for value in values):
            return {alias: [value[alias] for value in values] for alias in aliases}
    except (TypeError, KeyError):
        pass
    for row, value in enumerate(values):
        if row not in refusals:
            reason = _unfit(value, aliases)
            if reason:
                refusals[row] = RecordRefused(INVALID_INPUTS, reason)
    return {
        alias: [None if row in refusals else value[alias] for row, value in enumerate(values)] for alias in aliases
    }


def _unfit(value: Any, aliases: Sequence[str]) -> str | None:
    if not isinstance(value, Mapping):
        return f"Input mismatch: the instance must be an object with the fields {', '.join(aliases)}."
    return unfit(value, aliases)
