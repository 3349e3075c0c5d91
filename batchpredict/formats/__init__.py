"""File formats: cut files into splits, read the records of a segment, say where the cuts do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.formats.codecs import suffix_in_capitals
    from batchpredict.formats.growing import GrowingTFRecord
    from batchpredict.formats.input_formats import InputFormat, input_format
    from batchpredict.formats.output_formats import OutputFormat, output_format
    from batchpredict.formats.reader import Reader
    from batchpredict.formats.records import Border, Damage, Event, Rows, Run, Segment, fits
    from batchpredict.formats.results import ResultWriter, Values, arrow_type, csv_lines
    from batchpredict.formats.splits import Split, cut
    from batchpredict.formats.upcoming import Upcoming, fetching

__all__ = [
    "Border",
    "Damage",
    "Event",
    "GrowingTFRecord",
    "InputFormat",
    "OutputFormat",
    "Reader",
    "ResultWriter",
    "Rows",
    "Run",
    "Segment",
    "Split",
    "Upcoming",
    "Values",
    "arrow_type",
    "csv_lines",
    "cut",
    "fetching",
    "fits",
    "input_format",
    "output_format",
    "suffix_in_capitals",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "Border": "records",
            "Damage": "records",
            "Event": "records",
            "GrowingTFRecord": "growing",
            "InputFormat": "input_formats",
            "OutputFormat": "output_formats",
            "Reader": "reader",
            "ResultWriter": "results",
            "Rows": "records",
            "Run": "records",
            "Segment": "records",
            "Split": "splits",
            "Upcoming": "upcoming",
            "Values": "results",
            "arrow_type": "results",
            "csv_lines": "results",
            "cut": "splits",
            "fetching": "upcoming",
            "fits": "records",
            "input_format": "input_formats",
            "output_format": "output_formats",
            "suffix_in_capitals": "codecs",
        },
    )
