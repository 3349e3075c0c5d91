"""The formats of input files: one descriptor each, and the table of them.

A format is looked up once, by the name that `dataFormat` has in the Job resource; whoever treats formats
differently asks the descriptor for the property that the difference comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchpredict.formats.codecs import codec_of
from batchpredict.formats.reader import Reader

if TYPE_CHECKING:
    from batchpredict.formats.picking import Picker


@dataclass(frozen=True)
class InputFormat:
    """How files of one format are cut, read and spoken of.

    Attributes:
      names: what `dataFormat` calls it; the first name is the one that a resolved job has.
      load_reader: imports and returns the reader. The modules of readers need numpy and pyarrow, which have no
        place in the start of a command.
      load_picker: the same for what reads some records of a file.
      seekable: a file can be read from its middle, unless its name says that it is compressed.
      by_name: names ending in .gz or .bz2 are of compressed files.
      guessed_cuts: where a range of a file begins inside a record, the first record of the range is a guess, which
        the range before it has to confirm.
      numbered_lines: a record is a line, and errors give its number.
      text: records are text, which must be UTF-8; else they are bytes, of tf.Examples for one.
      streamed: a file is read from front to back, so a small one may be fetched whole before its turn.
      sampled: the mean size of records can be told from the beginning of a file.
    """

    names: tuple[str, ...]
    load_reader: Callable[[], Reader]
    load_picker: Callable[[], Picker]
    seekable: bool = True
    by_name: bool = True
    guessed_cuts: bool = False
    numbered_lines: bool = False
    text: bool = False
    streamed: bool = True
    sampled: bool = True

    @property
    def name(self) -> str:
        """The name that a resolved job has."""
        return self.names[0]

    def can_cut(self, url: str) -> bool:
        """Whether a file can be read from its middle: not if it is compressed."""
        return self.seekable and not (self.by_name and codec_of(url))


def _text_reader() -> Reader:
    from batchpredict.formats.text import read_text

    return read_text


def _tfrecord_reader() -> Reader:
    from batchpredict.formats.tfrecord import read_tfrecord

    return read_tfrecord


def _tfrecord_gzip_reader() -> Reader:
    from batchpredict.formats.tfrecord import read_tfrecord_gzip

    return read_tfrecord_gzip


def _parquet_reader() -> Reader:
    from batchpredict.formats.parquet import read_parquet

    return read_parquet


def _text_picker() -> Picker:
    from batchpredict.formats.picking import picker

    return picker(_text_reader())


def _tfrecord_picker() -> Picker:
    from batchpredict.formats.picking import picker

    return picker(_tfrecord_reader())


def _tfrecord_gzip_picker() -> Picker:
    from batchpredict.formats.picking import picker

    return picker(_tfrecord_gzip_reader(), seekable=False)


def _parquet_picker() -> Picker:
    from batchpredict.formats.picking_rows import pick_parquet

    return pick_parquet


INPUT_FORMATS = (
    # TEXT and JSON are one format: what is in a line is the model's business.
    InputFormat(("TEXT", "JSON"), _text_reader, _text_picker, numbered_lines=True, text=True),
    InputFormat(("TF_RECORD",), _tfrecord_reader, _tfrecord_picker, guessed_cuts=True),
    # Compressed whatever the name is.
    InputFormat(("TF_RECORD_GZIP",), _tfrecord_gzip_reader, _tfrecord_gzip_picker, seekable=False, by_name=False),
    # Compressed inside, if at all; the footer is read first and says where the rows are.
    InputFormat(("PARQUET",), _parquet_reader, _parquet_picker, by_name=False, streamed=False, sampled=False),
)

_BY_NAME = {name: one for one in INPUT_FORMATS for name in one.names}


def input_format(name: str) -> InputFormat:
    """The format that `dataFormat` names. Raises ValueError for one that is not read."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"dataFormat {name} cannot be read") from None
