"""The names of a SavedModel's signatures, read from its file without TensorFlow.

`saved_model.pb` is a protocol buffer, tensorflow/core/protobuf/saved_model.proto. Of that this knows

    SavedModel    meta_graphs = 2
    MetaGraphDef  meta_info_def = 1, signature_def = 5 (a map: entries whose key is field 1)
    MetaInfoDef   tags = 4

and passes over everything else unread, so a graph of gigabytes costs a few reads of its file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.models.signature import choose_tags, offered_names

_GRAPH = "saved_model.pb"

_WINDOW = 64 * 1024
# Fields of one message. A SavedModel has a few meta graphs, each with some signatures and collections.
_MOST_FIELDS = 100_000
# Bytes of a name.
_LONGEST = 64 * 1024

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def listed_signatures(uri: str) -> tuple[str, ...] | None:
    """The names of the signatures that a caller may ask for, sorted; None where only TensorFlow can tell.

    Raises:
      ModelUnusable: the file is no SavedModel, or has no graph for serving.
      OSError: it cannot be read.
    """
    url = storage.join(uri, _GRAPH)
    try:
        file = storage.info(url)
    except FileNotFoundError:
        # As text, perhaps.
        return None
    if file.encoding:
        return None
    # Of the same version of a file only once, as many jobs have the same model.
    return _listed_before(uri, file) if file.version else _listed(uri, file)


def _listed(uri: str, file: storage.Input) -> tuple[str, ...]:
    """As `listed_signatures`."""
    try:
        graphs = list(_meta_graphs(_Bytes(file.url, file.size)))
    except ValueError as error:
        text = f"'{uri}' is not a SavedModel: its saved_model.pb cannot be parsed."
        raise ModelUnusable(text) from error
    try:
        return tuple(offered_names(graphs[choose_tags([tags for tags, _ in graphs])][1]))
    except ModelUnusable as error:
        raise ModelUnusable(f"'{uri}' cannot be used: {error}.") from error


_listed_before = functools.lru_cache(maxsize=256)(_listed)


class _Bytes:
    """The bytes of a file, of which a window is held."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self.size = size
        self._start = 0
        self._held = b""

    def read(self, start: int, count: int) -> bytes:
        """Raises ValueError if the file ends before."""
        if start + count > self.size:
            raise ValueError("the file ends within a field")
        if not self._start <= start <= start + count <= self._start + len(self._held):
            self._start = start
            self._held = storage.read_range(self._url, start, start + max(count, _WINDOW))
        found = self._held[start - self._start :][:count]
        if len(found) < count:
            raise ValueError("the file has become shorter")
        return found

    def varint(self, start: int, end: int) -> tuple[int, int]:
        """A number, and where it ends. Raises ValueError."""
        value = 0
        for count in range(10):
            if start + count >= end:
                break
            byte = self.read(start + count, 1)[0]
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                return value, start + count + 1
        raise ValueError("a number has no end")


def _meta_graphs(file: _Bytes) -> Iterator[tuple[set[str], set[str]]]:
    """Tags and signatures of each meta graph. Raises ValueError."""
    for field, start, end in _fields(file, 0, file.size):
        if field == 2:
            yield _meta_graph(file, start, end)


def _meta_graph(file: _Bytes, start: int, end: int) -> tuple[set[str], set[str]]:
    tags: set[str] = set()
    signatures: set[str] = set()
    for field, *place in _fields(file, start, end):
        if field == 1:
            tags.update(_texts(file, *place, wanted=4))
        elif field == 5:
            # An entry without a key has the empty one.
            signatures.add(next(_texts(file, *place, wanted=1), ""))
    return tags, signatures


def _texts(file: _Bytes, start: int, end: int, *, wanted: int) -> Iterator[str]:
    for field, first, last in _fields(file, start, end):
        if field == wanted:
            if last - first > _LONGEST:
                raise ValueError("a name is too long")
            yield file.read(first, last - first).decode()


def _fields(file: _Bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that are messages or texts: number, and where the value begins and ends.

    Raises:
      ValueError: it is not a message.
    """
    for _ in range(_MOST_FIELDS):
        if start >= end:
            return
        tag, start = file.varint(start, end)
        kind = tag & 7
        if kind == _VARINT:
            _, start = file.varint(start, end)
        elif kind in (_FIXED64, _FIXED32):
            start += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            size, start = file.varint(start, end)
            if start + size > end:
                raise ValueError("a field ends behind its message")
            yield tag >> 3, start, start + size
            start += size
        else:
            raise ValueError(f"a field is of type {kind}")
    raise ValueError("a message has too many fields")
