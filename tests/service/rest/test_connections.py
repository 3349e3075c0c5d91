"""Requests as bytes on a connection: what no client library sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time

import httpx
import pytest
from service import rest_support
from service.rest_support import JOBS, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from batchpredict.service.connections import Connection

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


def ask(world, head):
    return rest_support.raw(world.url, head.encode("latin-1"))


def connected(url):
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def sent_until_refused(connection, piece, most):
    """Sends a piece again and again; whether the server closed the connection before it had `most` bytes."""
    try:
        for _ in range(most // len(piece)):
            connection.sendall(piece)
    except ConnectionError:
        return True
    return False


def test_a_head_of_some_size_is_read(world):
    answer = ask(world, f"GET {JOBS} HTTP/1.1\r\nHost: h\r\nX-Long: {'x' * 60_000}\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (f"GET {JOBS}?filter=", "x"),
        (f"GET {JOBS} HTTP/1.1\r\nHost: h\r\nX-Long: ", "x"),
        (f"GET {JOBS} HTTP/1.1\r\nHost: h\r\n", "X-Many: x\r\n"),
    ],
    ids=["line", "value", "many"],
)
def test_a_head_without_an_end_is_refused(world, begin, piece):
    with connected(world.url) as connection:
        connection.sendall(begin.encode())
        assert sent_until_refused(connection, piece.encode() * 1000, 32 * 2**20), "the server reads on"
    test_a_head_of_some_size_is_read(world)


def test_what_is_no_http_is_refused_and_the_next_is_served(world):
    assert ask(world, "\x16\x03\x01\x02\x00\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    test_a_head_of_some_size_is_read(world)


def test_a_body_that_does_not_come_is_not_waited_for(world, monkeypatch):
    monkeypatch.setattr("batchpredict.service.rest.dispatch._PATIENCE", 0.2)
    head = f"POST {JOBS} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
    with connected(world.url) as connection:
        connection.sendall(f'{head}\r\n{{"jobId":'.encode())
        answer = b""
        while b"seconds." not in answer:
            received = connection.recv(4096)
            assert received, answer
            answer += received
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The body did not arrive within 0.2 seconds." in answer


def test_requests_behind_each_other_are_answered_in_their_order(world):
    one = f"GET {JOBS} HTTP/1.1\r\nHost: h\r\n\r\n"
    last = f"GET {JOBS}/nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = ask(world, one * 20 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    assert answer.rindex(b"HTTP/1.1 404 ") > answer.rindex(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("piece", [b"x" * 10_000, b"X-Many: x\r\n" * 1000], ids=["value", "many"])
def test_what_follows_a_body_has_an_end(world, piece):
    begin = f"POST {JOBS} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX-Long: x"
    with connected(world.url) as connection:
        connection.sendall(begin.encode())
        assert sent_until_refused(connection, piece, 32 * 2**20), "the server reads on"


def test_what_follows_a_body_changes_nothing_of_the_request():
    async def echo(request: Request) -> Response:
        await request.body()
        return Response(json.dumps(dict(request.scope["headers"]).get(b"x-trailer", b"none").decode()))

    head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with serving(Starlette(routes=[Route("/", echo, methods=["POST"])])) as url:
        answer = rest_support.raw(url, f"{head}2\r\n{{}}\r\n0\r\nX-Trailer: told\r\n\r\n".encode())
    assert answer.endswith(b'"none"')


def test_a_large_body_in_small_chunks_is_read(world):
    body = json.dumps(world.job("chunks", region="r" * 60_000)).encode()
    chunks = (body[at : at + 10] for at in range(0, len(body), 10))
    head = {"content-type": "application/json"}
    with world.client() as client:
        assert client.post(JOBS, content=chunks, headers=head).json()["jobId"] == "chunks"


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "head and body apart"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_request_that_offers_http2_is_answered_as_if_it_did_not(world, apart, chunked):
    """As Java's client and `curl --http2` send it. The body is neither lost nor taken for the next request."""
    job_id = f"upgrade_{apart}_{chunked}"
    body = json.dumps(world.job(job_id))
    framing = f"Content-Length: {len(body)}"
    if chunked:
        framing, body = "Transfer-Encoding: chunked", f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    head = f"POST {JOBS} HTTP/1.1\r\nHost: h\r\n{H2C}Content-Type: application/json\r\n{framing}\r\n\r\n"
    following = f"GET {JOBS}/{job_id} HTTP/1.1\r\nHost: h\r\n{H2C}\r\n"
    last = f"GET {JOBS}/nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with connected(world.url) as connection:
        for part in (head, body + following, last) if apart else (head + body + following + last,):
            connection.sendall(part.encode())
            time.sleep(0.2 * apart)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"200", b"200", b"404"]
    assert answer.count(f'"jobId":"{job_id}"'.encode()) == 2


def test_a_request_behind_many_others_may_have_a_head_in_two_pieces(world):
    """What one read of the socket brought of those before does not count as its head."""
    one = f"GET {JOBS}/nothing HTTP/1.1\r\nHost: h\r\nX-Long: {'x' * 1000}\r\n\r\n".encode()
    last = f"GET {JOBS} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    with connected(world.url) as connection:
        connection.sendall(one * 120 + last[:20])
        time.sleep(0.2)
        connection.sendall(last[20:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 404 ") == 120
    assert answer.count(b"HTTP/1.1 200 ") == 1


class Hasty(Connection):
    patience = 0.5


@contextlib.contextmanager
def hasty():
    """A server that waits for nobody, with an answer that takes longer."""

    async def slow(request: Request) -> Response:
        async def lines():
            for _ in range(10):
                yield b"x"
                await asyncio.sleep(0.15)

        return StreamingResponse(lines())

    with serving(Starlette(routes=[Route("/", slow)]), Hasty) as url:
        yield url


@pytest.mark.parametrize(
    "begin", ["", "GET / HT", "GET / HTTP/1.1\r\nHost: h\r\n", "\r\n", "GET /none HTTP/1.1\r\nHost: h\r\n\r\nGE"]
)
def test_a_connection_that_brings_no_request_is_closed(begin):
    with hasty() as url, connected(url) as connection:
        connection.sendall(begin.encode())
        began = time.monotonic()
        while connection.recv(65536):
            pass
        assert time.monotonic() - began < 30


def test_a_connection_is_not_kept_by_a_body_that_nobody_reads():
    with hasty() as url, connected(url) as connection:
        connection.sendall(b"POST /none HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert sent_until_refused(connection, b"1\r\nx\r\n", 32 * 2**20)


def test_an_answer_may_take_longer_than_a_request():
    with hasty() as url:
        assert httpx.get(url).content == b"x" * 10
        # Also where the next request has begun meanwhile.
        with connected(url) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGE")
            time.sleep(1)
            connection.sendall(b"T / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.count(b"HTTP/1.1 200 ") == 2
