"""File formats: cut files into splits, read the records of a segment, say where the cuts do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.formats.codecs import suffix_in_capitals
    from batchpredict.formats.growing import GrowingTFRecord
    from batchpredict.formats.input_formats import INPUT_FORMATS, InputFormat, input_format
    from batchpredict.formats.interleaving import csv_columns, parquet_columns
    from batchpredict.formats.output_formats import OutputFormat, output_format
    from batchpredict.formats.positions import POSITION, POSITION_BYTES, Positions, positions_of
    from batchpredict.formats.reader import Reader
    from batchpredict.formats.records import (
        Border,
        Damage,
        Event,
        PickedRows,
        PickedRun,
        Rows,
        Run,
        Segment,
        Selection,
        fits,
    )
    from batchpredict.formats.results import ResultWriter, Values, arrow_type, csv_lines
    from batchpredict.formats.splits import MOST_FILES, Kept, Split, cut
    from batchpredict.formats.upcoming import Upcoming, fetching

__all__ = [
    "INPUT_FORMATS",
    "MOST_FILES",
    "POSITION",
    "POSITION_BYTES",
    "Border",
    "Damage",
    "Event",
    "GrowingTFRecord",
    "InputFormat",
    "Kept",
    "OutputFormat",
    "PickedRows",
    "PickedRun",
    "Positions",
    "Reader",
    "ResultWriter",
    "Rows",
    "Run",
    "Segment",
    "Selection",
    "Split",
    "Upcoming",
    "Values",
    "arrow_type",
    "csv_columns",
    "csv_lines",
    "cut",
    "fetching",
    "fits",
    "input_format",
    "output_format",
    "parquet_columns",
    "positions_of",
    "suffix_in_capitals",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "INPUT_FORMATS": "input_formats",
            "MOST_FILES": "splits",
            "POSITION": "positions",
            "POSITION_BYTES": "positions",
            "Border": "records",
            "Damage": "records",
            "Event": "records",
            "GrowingTFRecord": "growing",
            "InputFormat": "input_formats",
            "Kept": "splits",
            "OutputFormat": "output_formats",
            "PickedRows": "records",
            "PickedRun": "records",
            "Positions": "positions",
            "Reader": "reader",
            "ResultWriter": "results",
            "Rows": "records",
            "Run": "records",
            "Segment": "records",
            "Selection": "records",
            "Split": "splits",
            "Upcoming": "upcoming",
            "Values": "results",
            "arrow_type": "results",
            "csv_columns": "interleaving",
            "csv_lines": "results",
            "cut": "splits",
            "fetching": "upcoming",
            "fits": "records",
            "input_format": "input_formats",
            "output_format": "output_formats",
            "parquet_columns": "interleaving",
            "positions_of": "positions",
            "suffix_in_capitals": "codecs",
        },
    )
