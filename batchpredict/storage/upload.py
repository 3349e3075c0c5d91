"""Writing a file to an object store, in one piece and as often as it takes.

A client's own file object streams its blocks into an upload session. When the store's answer to the last block is
lost, the session is gone, and with it the blocks that were sent; nobody could send them again. So a file is
collected here first, in memory and then on disk, and its upload is a step that can be repeated.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from typing import Any

from batchpredict.storage.clients import os_errors

# Collected in memory; what is longer goes to a temporary file.
_SPOOLED = 8 << 20
# Sent as one request; what is longer is sent in requests of this size, one after the other.
_WHOLE = 48 << 20
_ATTEMPTS = 4
# Seconds before the second attempt, doubled for each further one. Clients have patience of their own below this.
_PAUSE = 0.5


class Upload(tempfile.SpooledTemporaryFile[bytes]):
    """A file that is being written; `finish` sends it, `close` alone forgets it.

    Args:
      fs: the file system of the store.
      path: on it.
    """

    def __init__(self, fs: Any, path: str) -> None:
        super().__init__(_SPOOLED)
        self._fs = fs
        self._path = path

    def finish(self) -> None:
        """Send the file and close it. Raises OSError when that has failed several times."""
        with self:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    with os_errors():
                        self._send()
                    return
                except OSError:
                    if attempt == _ATTEMPTS:
                        raise
                    time.sleep(_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1))

    def _send(self) -> None:
        size = self.seek(0, 2)
        self.seek(0)
        if size <= _WHOLE:
            self._fs.pipe_file(self._path, self.read())
            return
        with self._fs.open(self._path, "wb", block_size=_WHOLE) as target:
            shutil.copyfileobj(self, target, _SPOOLED)
