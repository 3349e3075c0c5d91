"""How the service speaks HTTP/1.1: by httptools, which is C, under uvloop, where the machine has it.

Of the processor time of a small request, reading and writing HTTP in Python took a fifth.

What httptools leaves to whoever uses it is done here:

* It keeps any number of bytes of a head, and of what follows the last chunk of a body. Both are bounded.
* It takes what follows the head of a request with `Upgrade` for another protocol. Java's client offers HTTP/2 in
  such a way with its first request and sends the body all the same, which would be lost, or read as the next
  request. A server may pass over the offer (RFC 9110, 7.8), and so does this one.
* It knows no time. A connection that brings no whole head is closed after a while, so that those who only open them
  do not take them from others.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 2**10
"""Bytes of a request's line and headers, give or take what one read of the socket brings; and of what is between
two pieces of its body."""

PATIENCE = 75.0
"""Seconds from when a connection may send a request, or has begun one, to the end of its head. As long as it may be
idle."""

_TOO_LARGE = f"Request head exceeds the limit: {MAX_HEAD} bytes."
_FRAMING = (b"content-length", b"transfer-encoding")


class Connection(HttpToolsProtocol):
    """A connection whose requests have heads of bounded size, which arrive in bounded time."""

    patience = PATIENCE

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = _Parser(self)  # type: ignore[assignment]
        # While the parser is shown a head that it has read already.
        self.replaying = False
        self._in_head = False
        # A stretch is what the parser keeps: a head, or what is between two pieces of a body. The number of the one
        # that is read, 0 for none, and its bytes.
        self._stretches = 0
        self._stretch = 0
        self._size = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        stretch = self._stretch
        super().data_received(data)
        if stretch and stretch == self._stretch and not self.transport.is_closing():
            self._size += len(data)
            if self._size > MAX_HEAD:
                self.send_400_response(_TOO_LARGE)

    # What the parser has found

    def on_message_begin(self) -> None:
        if self.replaying:
            return
        self._in_head = True
        self._begin_stretch()
        self._wait()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.replaying:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # One that follows the body may not change what has been decided by those before it.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.replaying:
            return
        self._in_head, self._stretch = False, 0
        self._wait_no_more()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._begin_stretch()

    def on_body(self, body: bytes) -> None:
        self._stretch = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stretch = 0
        # After an offer it is the parser that believes so, and the body is still to come.
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def framing(self) -> bytes:
        """The head of a request whose body is as that of the one whose head was read last."""
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
        return b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(lines)

    # Size and time

    def _begin_stretch(self) -> None:
        self._stretches += 1
        self._stretch, self._size = self._stretches, 0

    def _wait(self) -> None:
        """The end of a head is to come in time."""
        self._wait_no_more()
        self._deadline = self.loop.call_later(self.patience, self._give_up)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever sends the next request before this one is answered has time.
            self._wait()
        else:
            self.transport.close()


class _Parser:
    """What httptools' parser does, for requests that stay what they are.

    Args:
      connection: is told what was found.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = self._new()

    def feed_data(self, data: bytes) -> None:
        """Raises httptools.HttpParserError."""
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                # What follows the head is for a parser that has seen no offer.
                data = data[offer.args[0] :]
                self._parser = self._new()
                self._connection.replaying = True
                self._parser.feed_data(self._connection.framing())
                self._connection.replaying = False

    def get_http_version(self) -> str:
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        return self._parser.should_upgrade()

    def _new(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self._connection)
        # As uvicorn has it: one request behind another that was to be the last does not hinder its answer.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser
