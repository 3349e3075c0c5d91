"""Writing a file to an object store, in one piece and as often as it takes.

A client's own file object streams its blocks into an upload session. When the store's answer to the last block is
lost, the session is gone, and with it the blocks that were sent; nobody could send them again. So a file is
collected here first, in memory and then on disk, and its upload is a step that can be repeated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO

from batchpredict.storage.retry import again

# Collected in memory; what is longer goes to a temporary file.
_SPOOLED = 8 << 20


class Upload(tempfile.SpooledTemporaryFile[bytes]):
    """A file that is being written; `finish` sends it, `close` alone forgets it.

    Args:
      send: sends a file from its beginning; may be called again after it failed.
    """

    def __init__(self, send: Callable[[IO[bytes]], None]) -> None:
        super().__init__(_SPOOLED)
        self._send = send

    def finish(self) -> None:
        """Send the file and close it. Raises OSError when that has failed several times."""
        with self:
            again(self._send_whole)

    def _send_whole(self) -> None:
        self.seek(0)
        self._send(self)
