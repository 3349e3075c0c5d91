"""Requests as bytes on a connection: what no client library sends."""

from __future__ import annotations

import itertools
import socket

import pytest
from service import rest_support
from service.rest_support import JOBS


def ask(world, head):
    return rest_support.raw(world.url, head.encode("latin-1"))


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
    host, _, port = world.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(begin.encode())
        for sent in itertools.count():
            try:
                connection.sendall(piece.encode() * 1000)
            except ConnectionError:
                break
            assert sent * 1000 * len(piece) < 32 * 2**20, "the server reads on"
    test_a_head_of_some_size_is_read(world)


def test_what_is_no_http_is_refused_and_the_next_is_served(world):
    assert ask(world, "\x16\x03\x01\x02\x00\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    test_a_head_of_some_size_is_read(world)


def test_requests_behind_each_other_are_answered_in_their_order(world):
    one = f"GET {JOBS} HTTP/1.1\r\nHost: h\r\n\r\n"
    last = f"GET {JOBS}/nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = ask(world, one * 20 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    assert answer.rindex(b"HTTP/1.1 404 ") > answer.rindex(b"HTTP/1.1 200 OK")
