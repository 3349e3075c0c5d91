"""Model outputs and carried fields to the rows of a result file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import IO, Any

from batchpredict.errors import INVALID_OUTPUTS, InvalidJob, RecordRefused, Violation
from batchpredict.formats import ResultWriter, Values, arrow_type
from batchpredict.ledger import PredictionSpec
from batchpredict.models import Signature, base64_object, is_bytes, to_values
from batchpredict.scoring.batches import Piece
from batchpredict.scoring.fields import Carried
from batchpredict.scoring.instances import Instances


class Results:
    """Model outputs and carried fields to rows of a result file.

    Attributes:
      names: of the fields of a result, as far as they are known before the instances are.
      types: Arrow types of the columns, by name; none of a format that has no types.

    Raises:
      InvalidJob: two fields of a result would have one name, or a column can have no type.
    """

    def __init__(self, spec: PredictionSpec, signature: Signature) -> None:
        self._signature = signature
        self._format = spec.output
        self._aliases = tuple(output.alias for output in signature.outputs)
        carried = ((spec.key_field,) if spec.key_field else ()) + spec.excluded_fields
        for name in carried:
            if name in self._aliases:
                field_name = "key_field" if name == spec.key_field else "excluded_fields"
                text = f'"{name}" is also an output of the model, so it cannot come back on the prediction.'
                raise InvalidJob([Violation(f"prediction_input.instance_config.{field_name}", text)])
        self._beside = spec.beside
        for name in self._beside:
            if name in carried or name in self._aliases:
                text = (
                    f'"{name}" is a field of the results already, so they cannot say under this name where their '
                    "records are; choose another signature or key, or --merge, which needs none."
                )
                raise InvalidJob([Violation("only_errors_of", text)])
        self.names = (*carried, *self._aliases, *self._beside)
        # Only with includedFields can a field come back whose name nobody named.
        self._may_clash = bool(spec.included_fields)
        self.types = self._column_types(carried) if self._format.typed else {}

    def _column_types(self, carried: tuple[str, ...]) -> dict[str, Any]:
        types = {name: arrow_type("string", (), is_bytes=False) for name in carried}
        for output in self._signature.outputs:
            try:
                types[output.alias] = arrow_type(output.dtype, output.row_shape, is_bytes=is_bytes(output.alias))
            except ValueError as error:
                text = f"Output {output.alias} of the model cannot be a column: {error}."
                raise InvalidJob([Violation("prediction_input.output_data_format", text)]) from error
        for name in self._beside:
            types[name] = arrow_type("string" if name == "source" else "int64", (), is_bytes=False)
        return types

    def writer(self, file: IO[bytes]) -> ResultWriter:
        return self._format.open_writer(file, self.names, self.types)

    def write(
        self,
        writer: ResultWriter,
        pieces: list[Piece],
        group: Instances,
        beside: Mapping[str, list[Any]] | None = None,
    ) -> tuple[int, dict[int, RecordRefused]]:
        """Append the predictions of a group. Returns how many, and the rows whose outputs cannot be written.

        `beside` are columns of the group that stand beside its outputs.
        """
        refusals: dict[int, RecordRefused] = {}
        written = 0
        for piece in _in_order(pieces):
            columns: dict[str, Values] = {}
            refused: dict[int, RecordRefused] = {}
            for alias in self._aliases:
                columns[alias], wrong = to_values(
                    alias,
                    piece.outputs[alias],
                    strict_json=self._format.strict_json,
                    arrays=self._format.arrays,
                    b64=base64_object if self._format.base64_objects else _same,
                )
                refused.update(wrong)
            for name, values in (beside or {}).items():
                columns[name] = [values[row] for row in piece.rows]
            carried = None
            if group.carried is not None:
                carried = [group.carried[row] for row in piece.rows]
                if self._may_clash:
                    refused.update(self._clashes(carried))
            if refused:
                good = [at for at in range(len(piece.rows)) if at not in refused]
                columns = {alias: _picked(values, good) for alias, values in columns.items()}
                carried = None if carried is None else [carried[at] for at in good]
                refusals.update({piece.rows[at]: reason for at, reason in refused.items()})
            count = len(piece.rows) - len(refused)
            if count:
                writer.write(columns, carried)
                written += count
        return written, refusals

    def _clashes(self, carried: list[Carried]) -> dict[int, RecordRefused]:
        clashes = {}
        for at, fields in enumerate(carried):
            name = next((name for name in (*self._aliases, *self._beside) if name in fields), None)
            if name is not None:
                what = (
                    "an output of the model" if name in self._aliases else "what a result calls its record's place"
                )
                text = f"The field {name} is also {what}, so it cannot come back."
                clashes[at] = RecordRefused(INVALID_OUTPUTS, text)
        return clashes


def _picked(values: Values, rows: list[int]) -> Values:
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]


def _same(value: bytes) -> bytes:
    return value


def _in_order(pieces: list[Piece]) -> list[Piece]:
    """Pieces in the order of their rows; rows of different shapes interleave and are taken apart."""
    if len(pieces) < 2:
        return pieces
    ordered = sorted(pieces, key=lambda piece: piece.rows[0])
    if all(one.rows[-1] < other.rows[0] for one, other in itertools.pairwise(ordered)):
        return ordered
    single = [
        replace(piece, rows=[row], outputs={alias: array[at : at + 1] for alias, array in piece.outputs.items()})
        for piece in pieces
        for at, row in enumerate(piece.rows)
    ]
    return sorted(single, key=lambda piece: piece.rows[0])
