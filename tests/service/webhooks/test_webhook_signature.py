"""Signatures of webhooks: what a receiver can tell from them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import WrongCall
from batchpredict.service.webhooks.backoff import ATTEMPTS, LONGEST, next_wait
from batchpredict.service.webhooks.signature import TOLERANCE, BadSignature, read_keys, sign, verify

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_800_000_000
BODY = b'{"state":"RUNNING"}'


def headers(keys: list[bytes], number: str = "17", timestamp: int = NOW, body: bytes = BODY) -> dict[str, str]:
    return {
        "webhook-id": number,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, number, timestamp, body),
    }


def test_the_signature_is_that_of_the_standard():
    expected = hmac.new(KEY, b"17.1800000000." + BODY, hashlib.sha256).digest()
    assert sign([KEY], "17", NOW, BODY) == f"v1,{base64.b64encode(expected).decode()}"


def test_the_published_example_comes_out():
    """https://github.com/standard-webhooks/standard-webhooks, as its libraries are tested."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_believes_what_was_signed():
    verify(KEY, headers([KEY]), BODY, NOW)
    verify(KEY, headers([KEY]), BODY, NOW + TOLERANCE)


def test_while_a_key_is_changed_both_are_good():
    both = headers([KEY, OTHER])
    verify(KEY, both, BODY, NOW)
    verify(OTHER, both, BODY, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "18"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v0," + sign([KEY], "17", NOW, BODY)[3:]},
        {"webhook-signature": "é"},
    ],
)
def test_a_receiver_does_not_believe_what_was_changed(change):
    with pytest.raises(BadSignature):
        verify(KEY, {**headers([KEY]), **change}, BODY, NOW)


def test_a_receiver_does_not_believe_another_key_body_or_time():
    for key, body, now in ((OTHER, BODY, NOW), (KEY, BODY + b" ", NOW), (KEY, BODY, NOW + TOLERANCE + 1)):
        with pytest.raises(BadSignature):
            verify(key, headers([KEY]), body, now)
    with pytest.raises(BadSignature):
        verify(KEY, {}, BODY, NOW)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("k" * 32 + "\n", (KEY,)),
        (f"whsec_{base64.b64encode(KEY).decode()}\r\n\n{'o' * 32}", (KEY, OTHER)),
    ],
)
def test_keys_are_lines_of_a_file(tmp_path, text, keys):
    file = tmp_path / "key"
    file.write_text(text)
    assert read_keys(str(file)) == keys


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "at least 16"), ("short", "at least 16"), ("whsec_!", "no base64")]
)
def test_keys_that_cannot_be(tmp_path, text, sentence):
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(WrongCall, match=sentence):
        read_keys(str(file))


def test_a_file_of_keys_that_is_not_there():
    with pytest.raises(WrongCall, match="--webhook-secret-file: 'nowhere' cannot be read"):
        read_keys("nowhere")


def seconds(attempts: int, draw: float = 0.5, asked: float | None = None) -> float:
    wait = next_wait(attempts, draw, asked)
    assert wait is not None
    return wait.total_seconds()


def test_waits_grow_up_to_an_hour():
    assert [seconds(attempts) for attempts in range(1, 8)] == [5, 20, 80, 320, 1280, 3600, 3600]


def test_a_receiver_may_be_down_for_a_day():
    assert sum(seconds(attempts, 0.0) for attempts in range(1, ATTEMPTS)) > 18 * 3600
    assert sum(seconds(attempts) for attempts in range(1, ATTEMPTS)) > 24 * 3600
    assert next_wait(ATTEMPTS, 0.5) is None


def test_a_receiver_may_ask_for_more_time_but_not_for_ever():
    assert seconds(1, asked=60) == 60
    assert seconds(1, asked=1e9) == LONGEST
    assert seconds(4, asked=1) == 320


@given(st.integers(1, 10**9), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_a_wait_is_between_a_moment_and_an_hour_and_a_bit(attempts, draw, asked):
    wait = next_wait(attempts, draw, asked)
    assert (wait is None) == (attempts >= ATTEMPTS)
    assert wait is None or 3 < wait.total_seconds() <= 1.25 * LONGEST
