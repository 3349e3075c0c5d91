"""How the service speaks HTTP/1.1: by httptools, which is C, under uvloop, where the machine has it.

Of the processor time of a small request, reading and writing HTTP in Python took a fifth.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 2**10
"""Bytes of a request's line and headers, give or take what one read of the socket brings: the parser itself would
keep any number of them."""

_TOO_LARGE = f"Request head exceeds the limit: {MAX_HEAD} bytes."


class Connection(HttpToolsProtocol):
    """A connection whose requests have heads of bounded size."""

    _in_head = False
    _head = 0

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response(_TOO_LARGE)
