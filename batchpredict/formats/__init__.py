"""File formats: cut files into splits, read the records of a segment, say where the cuts do not fit."""

from batchpredict.formats.records import (
    Border,
    Damage,
    Event,
    Reader,
    Rows,
    Run,
    Segment,
    fits,
)
from batchpredict.formats.splits import Split, can_cut, cut, reader_of

__all__ = [
    "Border",
    "Damage",
    "Event",
    "Reader",
    "Rows",
    "Run",
    "Segment",
    "Split",
    "can_cut",
    "cut",
    "fits",
    "reader_of",
]
