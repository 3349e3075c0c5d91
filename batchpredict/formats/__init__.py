"""File formats: cut files into splits, read the records of a segment, say where the cuts do not fit."""

from batchpredict.formats.input_formats import INPUT_FORMATS, InputFormat, input_format
from batchpredict.formats.output_formats import OUTPUT_FORMATS, OutputFormat, output_format
from batchpredict.formats.reader import Reader
from batchpredict.formats.records import Border, Damage, Event, Rows, Run, Segment, fits
from batchpredict.formats.splits import Split, cut

__all__ = [
    "INPUT_FORMATS",
    "OUTPUT_FORMATS",
    "Border",
    "Damage",
    "Event",
    "InputFormat",
    "OutputFormat",
    "Reader",
    "Rows",
    "Run",
    "Segment",
    "Split",
    "cut",
    "fits",
    "input_format",
    "output_format",
]
