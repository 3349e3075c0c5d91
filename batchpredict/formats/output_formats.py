"""The formats of result files: one descriptor each, and the table of them.

A format is looked up once, by the name that `outputDataFormat` has in the Job resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from batchpredict.formats.interleaving import Interleave
    from batchpredict.formats.results import ResultWriter

OpenWriter: TypeAlias = "Callable[[IO[bytes], Sequence[str], Mapping[str, Any]], ResultWriter]"
"""Begins a part in a file: the names of its columns in order and, of a typed format, their Arrow types."""


@dataclass(frozen=True)
class OutputFormat:
    """How results of one format are encoded, written and named.

    Attributes:
      name: what `outputDataFormat` calls it.
      suffix: of the name of a published result.
      part_suffix: of the name of a part.
      open_writer: see `OpenWriter`. Its modules are imported when it is called.
      load_interleave: imports and returns what makes one file of the results of two jobs.
      header: the names of the columns stand in a file of their own.
      typed: columns have types, which must be known before the first row.
      strict_json: the floats that JSON lacks are written as strings.
      base64_objects: bytes are written as {"b64": …}; else as they are.
      arrays: the writer takes numbers as arrays.
    """

    name: str
    suffix: str
    part_suffix: str
    open_writer: OpenWriter
    load_interleave: Callable[[], Interleave]
    header: bool = False
    typed: bool = False
    strict_json: bool = True
    base64_objects: bool = True
    arrays: bool = False


def _json_writer(file: IO[bytes], names: Sequence[str], types: Mapping[str, Any]) -> ResultWriter:  # noqa: ARG001
    from batchpredict.formats.results import JsonResults

    return JsonResults(file)


def _csv_writer(file: IO[bytes], names: Sequence[str], types: Mapping[str, Any]) -> ResultWriter:  # noqa: ARG001
    from batchpredict.formats.results import CsvResults

    return CsvResults(file, names)


def _parquet_writer(file: IO[bytes], names: Sequence[str], types: Mapping[str, Any]) -> ResultWriter:  # noqa: ARG001
    from batchpredict.formats.results import ParquetResults

    return ParquetResults(file, types)


def _interleave_json() -> Interleave:
    from batchpredict.formats.interleaving import interleave_json

    return interleave_json


def _interleave_csv() -> Interleave:
    from batchpredict.formats.interleaving import interleave_csv

    return interleave_csv


def _interleave_parquet() -> Interleave:
    from batchpredict.formats.interleaving import interleave_parquet

    return interleave_parquet


OUTPUT_FORMATS = (
    OutputFormat("JSON", "", ".results.jsonl", _json_writer, _interleave_json, arrays=True),
    OutputFormat("CSV", ".csv", ".results.csv", _csv_writer, _interleave_csv, header=True),
    OutputFormat(
        "PARQUET",
        ".parquet",
        ".results.parquet",
        _parquet_writer,
        _interleave_parquet,
        typed=True,
        strict_json=False,
        base64_objects=False,
    ),
)

_BY_NAME = {one.name: one for one in OUTPUT_FORMATS}


def output_format(name: str) -> OutputFormat:
    """The format that `outputDataFormat` names. Raises ValueError for one that is not written."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"outputDataFormat {name} cannot be written") from None
