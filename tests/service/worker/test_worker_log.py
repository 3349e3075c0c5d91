"""A job's log on its way: lines, how bad they are, what is hidden of them, and what is dropped."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.service.worker.joblog import LineBuffer, LineReader, severity_of
from batchpredict.service.worker.masking import MASKED, LineMask, Mask

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def line(number: int) -> tuple[datetime, str, str, str]:
    return AT + timedelta(seconds=number), "INFO", "t", str(number)


class TestReading:
    @given(st.lists(st.binary(max_size=30), max_size=10))
    def test_however_the_bytes_come_the_lines_are_the_same(self, pieces):
        whole, cut = LineReader(), LineReader()
        one = whole.feed(b"".join(pieces)) + whole.end()
        assert [text for piece in pieces for text in cut.feed(piece)] + cut.end() == one
        assert all(one)

    @given(st.lists(st.binary(max_size=30), max_size=10))
    def test_no_line_is_longer_than_it_may_be(self, pieces):
        reader = LineReader(7)
        texts = [text for piece in pieces for text in reader.feed(piece)] + reader.end()
        assert all(0 < len(text) <= 7 for text in texts)

    def test_a_line_without_an_end_is_cut(self):
        reader = LineReader(10)
        assert reader.feed(b"x" * 35) == ["x" * 10] * 3
        assert reader.end() == ["x" * 5]

    def test_what_a_terminal_would_do_is_left_out(self):
        assert LineReader().feed(b"\x1b[31mred\x1b[0m\n 10%\r 20%\r\n\n") == ["red", " 20%"]

    def test_bytes_that_are_no_text_are_no_trouble(self):
        assert LineReader().feed(b"a\xff\x00b\n") == ["a�b"]


@pytest.mark.parametrize(
    ("text", "stderr", "severity"),
    [
        ("hello", False, "INFO"),
        ("hello", True, "INFO"),
        ("W0000 00:00:1732 port.cc:153] no GPU", True, "WARNING"),
        ("2026-01-01 10:00:00.123456: E external/x.cc:1] bad", True, "ERROR"),
        ("2026-01-01 10:00:00.123456: I external/x.cc:1] fine", True, "INFO"),
        ("WARNING:root:x", True, "WARNING"),
        ("a.py:3: UserWarning: x", True, "WARNING"),
        ("Traceback (most recent call last):", True, "ERROR"),
        ("ValueError: x", True, "ERROR"),
        ("ValueError: x", False, "INFO"),
    ],
)
def test_how_bad_a_line_is(text, stderr, severity):
    assert severity_of(text, stderr=stderr) == severity


class TestWaiting:
    def test_lines_come_in_order_and_once(self):
        lines = LineBuffer()
        for number in range(3):
            lines.add(line(number))
        assert lines.take() == [line(0), line(1), line(2)]
        assert lines.take() == []

    def test_the_oldest_are_dropped_and_counted(self):
        lines = LineBuffer(limit=2)
        for number in range(5):
            lines.add(line(number))
        note, *rest = lines.take()
        assert note[1:] == (
            "WARNING", "service", "3 lines were dropped here: they came faster than they could be stored."
        )  # fmt: skip
        assert rest == [line(3), line(4)]

    def test_what_could_not_be_stored_waits_before_the_others(self):
        lines = LineBuffer(limit=3)
        lines.add(line(2))
        lines.put_back([line(0), line(1)])
        assert lines.take() == [line(0), line(1), line(2)]


SECRET = "S3cr3t-abcdef-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"reading https://ann:{SECRET}@host/path",
        f"redis://:{SECRET}@host",
        f"Authorization: Bearer {SECRET}",
        f"authorization={SECRET}",
        f'"Authorization": "Basic {SECRET}"',
        f"sent Bearer {SECRET} along",
        f"GET /x?token={SECRET}&a=1",
        f"https://s3/x?X-Amz-Signature={SECRET}",
        f"https://blob/x?sv=1&sig={SECRET}",
        f"password={SECRET}",
        f"DB_PASSWORD: {SECRET}",
        f"'secret_key': '{SECRET}'",
        f"aws_secret_access_key = {SECRET}",
        f"API-Key: {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----{SECRET}",
    ],
)
def test_secrets_are_masked_by_where_they_stand(text):
    masked = Mask()(text)
    assert SECRET not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "x" * 35,
        "ya29.a0AfH6SMBx-yz12345",
        "ghp_" + "a1" * 18,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_and_by_their_form(secret):
    assert secret not in Mask()(f"found {secret} there")


def test_and_by_the_variable_that_holds_them():
    mask = Mask.of(
        {
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "HOME": "/home/ann-of-the-hill",
            "GOOGLE_APPLICATION_CREDENTIALS": "/etc/g",
        }
    )
    assert mask(f"it is {SECRET}, at home in /home/ann-of-the-hill, with /etc/g") == (
        "it is ***, at home in /home/ann-of-the-hill, with /etc/g"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Job completed successfully.",
        "3 of 4 splits are committed already (1,234 records)",
        "gs://bucket/folder/part-*: 12 files",
        "host:8080/path and user@example.org",
        "the token bucket is full; key: 1",
        "Field: prediction_input.uri Error: This field is required.",
        "at https://example.org/a?page=2&size=10",
    ],
)
def test_what_is_no_secret_stays(text):
    assert Mask()(text) == text


@given(st.text(max_size=200))
def test_any_text_can_be_masked_twice(text):
    mask = Mask(["a-known-secret"])
    assert mask(mask(text)) == mask(text)


def test_a_private_key_is_masked_in_all_its_lines():
    mask = LineMask(Mask())
    lines = [
        "loading",
        "key: -----BEGIN RSA PRIVATE KEY-----",
        "MIIEow+/ab==",
        "-----END RSA PRIVATE KEY-----",
        "done",
    ]
    assert [mask("a", line) for line in lines] == ["loading", f"key: {MASKED}", MASKED, MASKED, "done"]
    mask("a", "-----BEGIN PRIVATE KEY-----")
    assert mask("b", "of another stream") == "of another stream"
    assert [mask("a", "x") for _ in range(201)][-2:] == [MASKED, "x"]


@pytest.mark.parametrize(
    "piece", ["a-", "token-", "?token", "xoxb-", "eyJaaaaaaaa.", "a+", "a://", "a:", "-----BEGIN A ", "secret  "]
)
def test_no_text_takes_long(piece):
    """Whoever masks a line keeps all others from running; a line of a model may be anything."""
    text = piece * (8192 // len(piece))
    began = time.process_time()
    Mask(["a-known-secret"])(text)
    assert time.process_time() - began < 0.5
