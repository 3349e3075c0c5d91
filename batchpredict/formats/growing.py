"""A TFRecord file that somebody is still writing, as TensorBoard's event files are while a trainer runs."""

from __future__ import annotations

from collections.abc import Iterator

from batchpredict import storage
from batchpredict.formats import framing

# Bytes that are read at once.
_PIECE = 4 << 20


class GrowingTFRecord:
    """Follows the file. What has been read is not read again, and a record that is cut is waited for.

    Records of more than 4 MiB, and those that do not match their checksum, are passed over.

    Attributes:
      url: of the file.
      fault: why nothing more of it is read, as a sentence; None as long as all is well.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.fault: str | None = None
        self._offset = 0

    def poll(self, size: int) -> Iterator[bytes]:
        """The records that were completed since the last call.

        Args:
          size: bytes that the file has by now.

        Raises OSError; the next call then begins with the first record that has not been given.
        """
        while self.fault is None and self._offset + framing.FRAMING <= size:
            before = self._offset
            piece = storage.read_range(self.url, before, min(size, before + _PIECE))
            yield from self._records(piece, size)
            if self._offset == before:
                return

    def _records(self, piece: bytes, size: int) -> Iterator[bytes]:
        at = 0
        while at + framing.HEADER <= len(piece):
            header = piece[at : at + framing.HEADER]
            if not framing.header_holds(header):
                self.fault = f"{self.url} is damaged at byte {self._offset}: what follows cannot be read."
                return
            end = at + framing.FRAMING + framing.length_of(header)
            if self._offset + end - at > size:
                return
            if end - at > _PIECE:
                self._offset += end - at
                return
            if end > len(piece):
                return
            payload, footer = piece[at + framing.HEADER : end - framing.FOOTER], piece[end - framing.FOOTER : end]
            self._offset += end - at
            at = end
            if framing.data_holds(payload, footer):
                yield payload
