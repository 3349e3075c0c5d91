"""Streams of .gz and .bz2 files, of any number of members, saved up to the last byte before damage.

A gzip file is a sequence of members (RFC 1952, section 2.2), which is what `cat a.gz b.gz` and most log
writers produce; bzip2 streams are joined the same way. Zero bytes between members are padding, as for gzip(1).
Behind damage, reading goes on at the next member that can be found.
"""

from __future__ import annotations

import bz2
import re
import zlib
from typing import Protocol

from batchpredict.formats.stream import ENDLESS, Plain

# Bytes that one `read` collects, and that one call of zlib may return.
_OUTPUT = 1 << 20

# How far before the byte that does not decode the next member is looked for: a decoder runs some way into a
# member that follows a cut one before it notices.
_LOOK_BACK = 64 << 10

# Compressed bytes that must decode before a magic number is taken for the beginning of a member.
_TRIAL = 64 << 10


class _Corrupt(Exception):
    """Input that does not decode; `str()` is the reason."""


class _Decoder(Protocol):
    """One member.

    Attributes:
      piece: compressed bytes to give to one `step`.
      hungry: the next `step` needs input to get on.
      eof: the member is complete.
    """

    name: str
    magic: re.Pattern[bytes]
    piece: int
    hungry: bool
    eof: bool

    def step(self, data: bytes) -> tuple[bytes, int]:
        """Decompressed bytes, and how many of `data` are done with.

        That number is negative where bytes of an earlier step turn out to lie behind the member.
        """


class _Gzip:
    name = "gzip"
    # The reserved flags are zero: RFC 1952, section 2.3.1.2.
    magic = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)
    piece = 64 << 10
    hungry = True

    def __init__(self) -> None:
        self.eof = False
        self._zlib = zlib.decompressobj(wbits=31)

    def step(self, data: bytes) -> tuple[bytes, int]:
        # A call that fails gives nothing of what it decoded before. So it is done again from the same state
        # with half the bytes, down to none at all: the state may hold output that did not fit the last call.
        reason = ""
        while True:
            before = self._zlib.copy()
            try:
                output = self._zlib.decompress(data, _OUTPUT)
            except zlib.error as error:
                self._zlib = before
                reason = reason or str(error).rpartition(": ")[2]
                if not data:
                    raise _Corrupt(reason) from error
                data = data[: len(data) // 2]
            else:
                break
        if reason and not data and not output:
            raise _Corrupt(reason)
        self.eof = self._zlib.eof
        # At the end of a member zlib may give the bytes behind it as its unconsumed tail as well.
        left = self._zlib.unused_data if self.eof else self._zlib.unconsumed_tail
        return output, len(data) - len(left)


class _Bzip2:
    name = "bzip2"
    magic = re.compile(rb"BZh[1-9]1AY&SY")
    # The decoder's state cannot be copied, so what a failing call has decoded is lost. Small steps lose little:
    # at most 16 KiB before the block that is damaged, and they cost nothing next to the decoding.
    piece = 256
    output = 16 << 10

    def __init__(self) -> None:
        self.eof = False
        self.hungry = True
        self._bz2 = bz2.BZ2Decompressor()

    def step(self, data: bytes) -> tuple[bytes, int]:
        if not self.hungry:
            data = b""
        try:
            output = self._bz2.decompress(data, self.output)
        except (OSError, ValueError) as error:
            raise _Corrupt(str(error).lower()) from error
        self.eof = self._bz2.eof
        self.hungry = self._bz2.needs_input
        return output, len(data) - len(self._bz2.unused_data)


_DECODERS: dict[str, type[_Gzip] | type[_Bzip2]] = {"gzip": _Gzip, "bz2": _Bzip2}


class Decompressed:
    """A `Stream` of what a compressed file holds. Offsets are those of the decompressed bytes."""

    seekable = False
    size = ENDLESS

    def __init__(self, source: Plain, codec: str) -> None:
        self.position = 0
        self.fault: str | None = None
        self._source = source
        self._new = _DECODERS[codec]
        self._decoder: _Decoder | None = None
        # `_input[_at:]` is still to be decompressed; what lies before is kept for looking back.
        self._input = b""
        self._at = 0
        self._member = -1
        self._pushed_back = b""

    def read(self, wanted: int = 0) -> bytes:  # noqa: ARG002 - more than a piece at once gains nothing here
        data, self._pushed_back = self._pushed_back, b""
        if not data:
            parts: list[bytes] = []
            held = 0
            while held < _OUTPUT and self.fault is None and self._in_member():
                parts.append(self._step())
                held += len(parts[-1])
            data = b"".join(parts)
        self.position += len(data)
        return data

    def skip(self, count: int) -> bool:
        while count > 0:
            piece = self.read()
            if not piece:
                return False
            self._pushed_back = piece[count:]
            self.position -= len(self._pushed_back)
            count -= len(piece)
        return True

    def seek(self, offset: int) -> None:
        raise NotImplementedError("a compressed file is read from front to back")

    def resume(self) -> bool:
        base = self._base()
        at = max(0, self._at - _LOOK_BACK, self._member + 1 - base)
        self._decoder = None
        while True:
            hit = self._new.magic.search(self._input, at)
            if hit is None:
                self._at = len(self._input)
                if not self._refill():
                    return False
                # A magic number of up to ten bytes may lie across the two pieces.
                at = max(0, self._at - 9)
            elif self._begins_member(hit.start()):
                self._at = hit.start()
                self.fault = None
                return True
            else:
                at = hit.start() + 1

    def close(self) -> None:
        self._source.close()

    def _in_member(self) -> bool:
        """Whether a member is being read; begins the next one where there is one."""
        while self._decoder is None:
            if self._at == len(self._input) and not self._refill():
                return False
            if self._member >= 0 and self._input[self._at] == 0:
                padding = self._input[self._at :]
                self._at += len(padding) - len(padding.lstrip(b"\0"))
                continue
            self._member = self._base() + self._at
            self._decoder = self._new()
        return True

    def _step(self) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        at_end = self._at == len(self._input) and decoder.hungry and not self._refill()
        try:
            output, done = decoder.step(self._input[self._at : self._at + decoder.piece])
        except _Corrupt as error:
            self.fault = f"the {decoder.name} stream is corrupt: {error}"
            return b""
        self._at += done
        if decoder.eof:
            self._decoder = None
        elif at_end and not output:
            self.fault = f"the {decoder.name} stream is corrupt: it ends in the middle"
        return output

    def _begins_member(self, at: int) -> bool:
        while len(self._input) - at < _TRIAL and (piece := self._source.read()):
            self._input += piece
        trial = self._input[at : at + _TRIAL]
        decoder = self._new()
        try:
            while trial and not decoder.eof:
                trial = trial[decoder.step(trial[: decoder.piece])[1] :]
        except _Corrupt:
            return False
        return True

    def _refill(self) -> bool:
        piece = self._source.read()
        if not piece:
            return False
        kept = self._input[max(0, self._at - _LOOK_BACK) : self._at]
        self._input = kept + piece
        self._at = len(kept)
        return True

    def _base(self) -> int:
        """Offset in the file of the first byte of `_input`."""
        return self._source.position - len(self._input)
