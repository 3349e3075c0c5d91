"""One request to a receiver: to an address that was looked at, within bounds of time and size, no further."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from batchpredict.service.webhooks.addresses import Network, address_fault

TIMEOUT = 15.0
"""Seconds of one attempt in all, from the question for its address to the last byte of the answer."""

MAX_ANSWER = 64 << 10
_MAX_ADDRESSES = 3

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True)
class Answer:
    """What came of an attempt.

    Attributes:
      status: of HTTP; None where there was no answer.
      reason: why it failed, for a person; "" if it did not.
      asked: seconds that the receiver asks us to wait.
    """

    status: int | None
    reason: str = ""
    asked: float | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Poster:
    """Sends requests.

    Attributes:
      private: networks that are allowed although they are not public.
      tls: whom to trust; None for the authorities that this machine trusts (SSL_CERT_FILE), or else Mozilla's.
      resolve: addresses of a host.
      timeout: seconds of one attempt.
    """

    private: Sequence[Network] = ()
    tls: ssl.SSLContext | None = None
    resolve: Resolve | None = None
    timeout: float = TIMEOUT
    _context: list[ssl.SSLContext] = field(default_factory=list, repr=False, compare=False)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises for what the receiver or the network does."""
        try:
            return await asyncio.wait_for(self._post(url, headers, body), self.timeout)
        except asyncio.TimeoutError:
            return Answer(None, f"There was no answer within {self.timeout:g} seconds.")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = list(await (self.resolve or _resolve)(host, port))
        except (OSError, UnicodeError) as error:
            return Answer(None, f"The host {host} has no address: {error}.")
        allowed = [each for each in found if address_fault(each, self.private, own=is_own(each)) is None]
        if not allowed:
            return Answer(
                None, f"The host {host} leads to {', '.join(found[:3])}, which is not public and not allowed."
            )
        answer = Answer(None, f"The host {host} cannot be reached.")
        for address in allowed[:_MAX_ADDRESSES]:
            connected, answer = await self._at(address, port, url, headers, body)
            if connected:
                return answer
        return answer

    async def _at(
        self, address: str, port: int, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[bool, Answer]:
        """Post to one address; whether there was a connection, after which no other address is tried."""
        import httpx

        parts = urlsplit(url)
        literal = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{literal}:{port}").geturl()
        # The certificate must be of the name, though the connection is to the address.
        extensions: dict[str, Any] = {"sni_hostname": parts.hostname}
        try:
            async with (
                # No proxy and no password of this machine's environment.
                httpx.AsyncClient(verify=self._trusted(), trust_env=False, timeout=self.timeout) as client,
                client.stream(
                    "POST",
                    target,
                    content=body,
                    headers={**headers, "host": parts.netloc},
                    extensions=extensions,
                    follow_redirects=False,
                ) as response,
            ):
                answer = _answer(response.status_code, response.headers.get("retry-after", ""))
                await _read_some(response)
                return True, answer
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return False, Answer(None, f"The host {parts.hostname} cannot be reached: {error}.")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            return True, Answer(
                None, f"The host {parts.hostname} gave no good answer: {error or type(error).__name__}."
            )

    def _trusted(self) -> ssl.SSLContext:
        if self.tls is not None:
            return self.tls
        if not self._context:
            import httpx

            # Reading the authorities takes longer than most requests.
            self._context.append(httpx.create_ssl_context())
        return self._context[0]


async def _read_some(response: Any) -> None:
    """The answer's body is nobody's; it is read, as far as it is short, so that its sender is not cut off."""
    import httpx

    size = 0
    with contextlib.suppress(httpx.HTTPError):
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > MAX_ANSWER:
                return


def _answer(status: int, retry_after: str) -> Answer:
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, f"The receiver answered {status}; redirects are not followed.")
    asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else None
    return Answer(status, f"The receiver answered {status}.", asked)


def is_own(address: str) -> bool:
    """Whether an address is one of this machine's: what is sent there is sent from there. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return bool(probe.getsockname()[0] == address)
    except OSError:
        return False


async def _resolve(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
