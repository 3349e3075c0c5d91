"""Calls of the jobs service by the hosts of a job: JSON over HTTP, each tried again for some seconds.

By the standard library alone: a host on a worker of Flink has none of the service's packages.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from batchpredict.training.gang.address import ServiceAddress

# Seconds, of all attempts at one call. A lease of a host is 15 seconds, and a sign of life that comes later than
# that is of no use.
_PATIENCE = 10.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
# For the last attempt, however little of the patience is left.
_SHORTEST_TIMEOUT = 1.0
# Connections that are kept for the next call; a host makes at most so many at a time.
_IDLE = 16
# Bytes of an answer. The service sends a page of 200 documents.
_LONGEST_ANSWER = 64 * 2**20

# Answers after which the same call may succeed.
_PASSING = frozenset((408, 429, 500, 502, 503, 504))


class Calls:
    """Makes calls of one address, over connections that are kept. Used from any number of threads."""

    def __init__(self, address: ServiceAddress) -> None:
        parts = urllib.parse.urlsplit(address.url)
        self._url = address.url
        self._host, self._port = parts.hostname or "", parts.port
        self._secure = parts.scheme == "https"
        self._path = parts.path
        self._headers = {"Authorization": f"Bearer {address.token}", "Content-Type": "application/json"}
        self._idle: list[HTTPConnection] = []
        self._guard = threading.Lock()

    def __call__(
        self, verb: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON object of the answer.

        Raises:
          PermissionError: the service refuses, and will refuse again; or what answers there is no such service.
          OSError: it does not answer.
        """
        path = f"{self._path}?{urllib.parse.urlencode(query)}" if query else self._path
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        deadline = time.monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._attempt(verb, path, data, deadline)
            except PermissionError:
                raise
            except OSError as error:
                if time.monotonic() + pause >= deadline:
                    raise OSError(f"The service at {self._url} does not answer: {error}") from error
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def __del__(self) -> None:
        for connection in self._idle:
            connection.close()

    def _attempt(self, verb: str, path: str, data: bytes | None, deadline: float) -> dict[str, Any]:
        connection = self._connection(max(deadline - time.monotonic(), _SHORTEST_TIMEOUT))
        try:
            connection.request(verb, path, data, self._headers)
            response = connection.getresponse()
            if (response.length or 0) > _LONGEST_ANSWER:
                raise PermissionError(f"What answers at {self._url} is no jobs service: {response.length} bytes")
            # Without a number: only so one that was cut off is an error.
            text = response.read()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise PermissionError(f"The certificate of {self._url} is not trusted: {error}") from error
        except HTTPException as error:
            connection.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, response)
        return self._document(response.status, text)

    def _document(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if status == 200 and isinstance(found, dict):
            return found
        if status in _PASSING:
            raise ConnectionError(f"status {status}{_said(found)}")
        raise PermissionError(f"The service at {self._url} refuses with status {status}{_said(found)}")

    def _connection(self, timeout: float) -> HTTPConnection:
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            kind = HTTPSConnection if self._secure else HTTPConnection
            return kind(self._host, self._port, timeout=timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def _give_back(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        with self._guard:
            # One whose answer was not read to its end cannot be asked again.
            if response.isclosed() and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _said(document: Any) -> str:
    """The message of an error as the service writes it; "" if there is none."""
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return f": {message}" if message else ""
