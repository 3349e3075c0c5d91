"""A proxy between a client and a store, that counts, delays and fails requests as it is told."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("unavailable", "reset before", "reset after", "slow")
_SLOW_SECONDS = 0.7
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}


class Proxy:
    """An HTTP proxy in front of one server, in threads of this process.

    Attributes:
      port: where it listens on 127.0.0.1.
      rate: share of requests that meet a fault.
      latency: seconds that are added to every request.
      refuse: a status to answer everything with, None for what the server says.
      faults: which were met, by name.
      requests: how many there were, by method and path without its query.
    """

    def __init__(self, seed: int = 1) -> None:
        self.rate = 0.0
        self.latency = 0.0
        self.refuse: int | None = None
        self.faults: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.backend = ("127.0.0.1", 0)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Back to passing everything on, with nothing counted."""
        self.rate = self.latency = 0.0
        self.refuse = None
        self.faults.clear()
        self.requests.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def meet(self, method: str, path: str) -> str | None:
        """Count a request; the fault that it meets, if any."""
        with self._lock:
            self.requests[f"{method} {path.partition('?')[0]}"] += 1
            if self._random.random() >= self.rate:
                return None
            fault = self._random.choice(FAULTS)
            self.faults[fault] += 1
            return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that goes away in the middle is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Proxy
    # Headers and body leave in two writes; without this the second one waits for the client's acknowledgement.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        if self._upstream is not None:
            self._upstream.close()

    def _handle(self) -> None:
        body = self._body()
        fault = self.owner.meet(self.command, self.path)
        time.sleep(self.owner.latency + (_SLOW_SECONDS if fault == "slow" else 0))
        if self.owner.refuse is not None:
            self._answer(self.owner.refuse, [], b'{"error": {"code": %d, "message": "no"}}' % self.owner.refuse)
        elif fault == "unavailable":
            self._answer(503, [], b'{"error": {"code": 503, "message": "try again"}}')
        elif fault == "reset before":
            self._reset()
        else:
            status, headers, data = self._ask(body)
            if fault == "reset after":
                self._reset()
            else:
                self._answer(status, headers, data)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["Host"] = self.headers.get("Host", "")
        headers["Content-Length"] = str(len(body))
        if self._upstream is None:
            self._upstream = http.client.HTTPConnection(*self.owner.backend, timeout=60)
            self._upstream.connect()
            self._upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upstream.request(self.command, self.path, body, headers)
        answer = self._upstream.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        # Of what a HEAD asks about there is a length and no data.
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        self.send_header("Content-Length", str(len(data)) if self.command != "HEAD" else length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _reset(self) -> None:
        """Close the connection without an answer, by a reset and not in peace."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def log_message(self, *arguments: object) -> None:
        pass
