"""An HTTP server that answers as a test tells it and remembers what it was asked: for answers that no real service
gives on demand."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: "GET /v1/projects/p/jobs?pageSize=100", its body and its headers."""

    line: str
    body: Any
    headers: dict[str, str]


@dataclass
class Answer:
    """What is answered; `cut` closes the connection instead, after so many bytes of the body."""

    body: Any = field(default_factory=dict)
    code: int = 200
    cut: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


def refusal(code: int, status: str, message: str, **violations: str) -> Answer:
    """An error as the service words it; violations by field."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if violations:
        named = [{"field": name, "description": text} for name, text in violations.items()]
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": named}]
    return Answer({"error": error}, code)


class Recorder:
    """A server on a port of its own; `answers` says what to answer, and is given what was asked."""

    def __init__(self, answers: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                body = json.loads(text) if text else None
                asked = Asked(f"{self.command} {self.path}", body, dict(self.headers))
                recorder.asked.append(asked)
                answer = answers(asked)
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                if answer.cut == 0:
                    self.close_connection = True
                    return
                self.send_response(answer.code)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: answer.cut])
                self.close_connection = True

            do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def recording(answers: Callable[[Asked], Answer]) -> Iterator[Recorder]:
    recorder = Recorder(answers)
    try:
        yield recorder
    finally:
        recorder.close()


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    """One answer after the other; the last one again and again."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]
