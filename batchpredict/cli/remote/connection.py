"""How a command reaches the service: where it is, who calls, and what its answers and silences mean.

HTTP is the standard library's: a command that lists jobs is over before a larger client is imported.
"""

from __future__ import annotations

import argparse
import http.client
import ipaddress
import json
import random
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

from batchpredict import __version__
from batchpredict.errors import BatchPredictError, Violation, WrongCall

DEFAULT_ENDPOINT = "http://127.0.0.1:8080"
DEFAULT_PROJECT = "default"

# Seconds without a byte from the service. An answer takes longer only where the service looks at very many inputs.
_TIMEOUT = 60.0
# A call that changes nothing is made again this often, a moment later each time.
_TRIES = 4
_FIRST_WAIT = 0.25
# Answers of a service, or of a proxy before it, that is only just not there.
_PASSING = frozenset({429, 502, 503, 504})
# An answer that is longer is none of the service's.
_MOST_BYTES = 1 << 28


class Unreachable(BatchPredictError):
    """Nobody answers, or somebody who is not the service."""


class Interrupted(Unreachable):
    """The connection broke after the request was sent: nobody knows what became of it."""


class Refused(BatchPredictError):
    """The service answered with an error.

    Attributes:
      code: HTTP status.
      status: the name of the error, such as "ALREADY_EXISTS"; "" if it has none.
      violations: the fields that are wrong, as the service names them.
    """

    def __init__(self, code: int, status: str, message: str, violations: tuple[Violation, ...] = ()) -> None:
        self.code = code
        self.status = status
        self.violations = violations
        super().__init__(message)


@dataclass(frozen=True)
class Service:
    """A service and who talks to it.

    Attributes:
      endpoint: URL without a slash at its end.
      project: id of the project that commands are about.
      token: sent as a bearer token; "" for none.
    """

    endpoint: str
    project: str
    token: str = field(default="", repr=False)

    @property
    def parent(self) -> str:
        return f"projects/{self.project}"

    def get(self, name: str, **query: Any) -> dict[str, Any]:
        """A resource, or a list of them; tried again if the service is only just not there."""
        return patiently(lambda: self._call("GET", name, query))

    def post(self, name: str, body: Mapping[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Sent once. Raises Interrupted where it may or may not have had an effect."""
        return self._call("POST", name, query, body)

    def patch(self, name: str, body: Mapping[str, Any], mask: str) -> dict[str, Any]:
        """Sent once."""
        return self._call("PATCH", name, {"updateMask": mask}, body)

    def delete(self, name: str) -> dict[str, Any]:
        """Sent once."""
        return self._call("DELETE", name, {})

    def lines(self, name: str, **query: Any) -> Iterator[dict[str, Any]]:
        """An answer of one JSON object a line, as the lines arrive; ends where the service ends it or is gone."""
        with closing(self._open("GET", name, query, None)) as answer:
            try:
                for line in answer:
                    if not line.endswith(b"\n"):
                        return  # The rest of it did not come.
                    if line.strip():
                        yield _object(line, self.endpoint)
            except (OSError, http.client.HTTPException):
                return

    def _call(
        self, method: str, name: str, query: Mapping[str, Any], body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        with closing(self._open(method, name, query, body)) as answer:
            try:
                data = answer.read(_MOST_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Interrupted(f"{self.endpoint} broke off its answer: {_reason(error)}") from error
        return _object(data, self.endpoint) if data.strip() else {}

    def _open(self, method: str, name: str, query: Mapping[str, Any], body: Mapping[str, Any] | None) -> IO[bytes]:
        asked = urllib.parse.urlencode({key: value for key, value in query.items() if value not in (None, "")})
        url = f"{self.endpoint}/v1/{urllib.parse.quote(name, safe='/:')}{'?' if asked else ''}{asked}"
        request = urllib.request.Request(url, method=method)
        request.add_header("User-Agent", f"batchpredict/{__version__}")
        request.add_header("Accept", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            answer: IO[bytes] = _opener(self.endpoint).open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            with closing(error):
                raise _refusal(error, self.endpoint) from None
        except urllib.error.URLError as error:
            # Raised before the request was sent, which these two are proof of, or while it was.
            unsent = isinstance(error.reason, (ConnectionRefusedError, socket.gaierror))
            kind = Unreachable if unsent else Interrupted
            raise kind(f"{self.endpoint} does not answer: {_reason(error.reason)}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(f"{self.endpoint} broke off: {_reason(error)}") from error
        return answer


def patiently(call: Callable[[], dict[str, Any]], tries: int = _TRIES) -> dict[str, Any]:
    """Make a call that may be made twice; again, a moment later, if the service is only just not there."""
    wait = _FIRST_WAIT
    for left in range(tries - 1, -1, -1):
        try:
            return call()
        except Refused as error:
            if error.code not in _PASSING or not left:
                raise
        except Interrupted:
            if not left:
                raise
        time.sleep(wait * random.uniform(0.5, 1.0))
        wait *= 2
    raise AssertionError("the last try returns or raises")


def connect(options: argparse.Namespace, environment: Mapping[str, str]) -> Service:
    """The service that flags and environment name.

    Raises:
      WrongCall: names the flag or the variable.
    """
    where, endpoint = _first(
        ("--endpoint", options.endpoint),
        ("BATCHPREDICT_ENDPOINT", environment.get("BATCHPREDICT_ENDPOINT")),
        ("", DEFAULT_ENDPOINT),
    )
    parts = urllib.parse.urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise WrongCall(f"{where}: '{endpoint}' is not of the form {DEFAULT_ENDPOINT}")
    try:
        _ = parts.port
    except ValueError:
        raise WrongCall(f"{where}: '{endpoint}' has no port between 0 and 65535") from None
    where, project = _first(
        ("--project", options.project),
        ("BATCHPREDICT_PROJECT", environment.get("BATCHPREDICT_PROJECT")),
        ("CLOUDSDK_CORE_PROJECT", environment.get("CLOUDSDK_CORE_PROJECT")),
        ("", DEFAULT_PROJECT),
    )
    if "/" in project or not project.isprintable():
        raise WrongCall(f"{where}: '{project}' is not the id of a project")
    return Service(endpoint.rstrip("/"), project, _token(options, environment))


def _first(*candidates: tuple[str, str | None]) -> tuple[str, str]:
    return next((where, value) for where, value in candidates if value)


def _token(options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    where, token = "BATCHPREDICT_TOKEN", environment.get("BATCHPREDICT_TOKEN", "")
    if options.access_token_file:
        where = "--access-token-file"
        try:
            with open(options.access_token_file, encoding="utf-8") as file:
                token = file.read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise WrongCall(f"{where}: '{options.access_token_file}' cannot be read: {reason}") from error
    token = token.strip()
    if not token.isascii() or any(letter.isspace() or not letter.isprintable() for letter in token):
        raise WrongCall(f"{where}: what is there is not one token")
    return token


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected request would take the token to wherever it leads."""

    def redirect_request(self, *arguments: Any, **keywords: Any) -> None:
        del arguments, keywords


def _opener(endpoint: str) -> urllib.request.OpenerDirector:
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    # No proxy reaches what listens on this machine only.
    proxies = urllib.request.ProxyHandler({} if local else None)
    return urllib.request.build_opener(proxies, _NoRedirects())


def _reason(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; "
            "name a file with the one that signed it by SSL_CERT_FILE"
        )
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _object(data: bytes, endpoint: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"{endpoint} answers, but not as the jobs service: this is no JSON object")
    return found


def _refusal(error: urllib.error.HTTPError, endpoint: str) -> BatchPredictError:
    """The error that an answer stands for."""
    try:
        found = json.loads(error.read(_MOST_BYTES))["error"]
        message, status = str(found["message"]), str(found.get("status", ""))
        details = [one for one in found.get("details", ()) if isinstance(one, dict)]
        violations = tuple(
            Violation(str(one.get("field", "")), str(one.get("description", "")))
            for detail in details
            for one in detail.get("fieldViolations", ())
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, http.client.HTTPException):
        if error.code in _PASSING:
            return Refused(error.code, "", f"{endpoint} answers with status {error.code}: {error.reason}")
        return Unreachable(
            f"{endpoint} answers, but not as the jobs service: status {error.code}: {error.reason or 'no reason'}"
        )
    return Refused(error.code, status, message, violations)
