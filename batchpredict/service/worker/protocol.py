"""What a job process and its worker say to each other: JSON lines.

The order goes to the job process's stdin, one line. What it says comes over a pipe of its own, so that whatever the
job prints is output and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec

from batchpredict.errors import BatchPredictError

LONGEST = 1 << 20
"""Bytes of a line that a worker reads: a job process is not trusted with its memory."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job process is to do.

    Attributes:
      job: the Job resource as it was submitted.
      pinned: what the names and paths in it meant then; see `store.interface.NewJob`.
      workers: worker processes that it may use.
      runner, flags: as `runners.choose` takes them.
      roots, excluded: below which its places must lie, as `containment` takes them; no roots for anywhere.
      rendezvous, token: URL of the job's rendezvous in the service, and what admits to it; "" where replicas meet
        in the jobDir.
    """

    job: dict[str, Any]
    pinned: dict[str, Any]
    workers: int
    runner: str
    flags: list[str]
    roots: list[str] = []
    excluded: list[str] = []
    rendezvous: str = ""
    token: str = ""


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """The pipeline runs."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the work is: its output in wire form, what people see of it, and a count of what is committed."""

    committed: int
    output: dict[str, Any]
    progress: dict[str, Any]


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A line for the job's log. `task`: who has written it; "" for the job itself."""

    severity: str
    text: str
    task: str = ""


class Succeeded(msgspec.Struct, frozen=True, tag="succeeded"):
    """The work has come to its end, and to this, in wire form."""

    output: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The work has failed: an error as `errors.to_document` writes it."""

    error: dict[str, Any]


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The work was stopped, as it was asked for."""


Message = Begun | Progress | Said | Succeeded | Failed | Stopped

_MESSAGE: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_ORDER = msgspec.json.Decoder(Order)


class NotUnderstood(BatchPredictError):
    """A line that is no message."""


def to_line(message: msgspec.Struct) -> bytes:
    """A message as a line, with its end. Numbers that JSON does not have become null."""
    return msgspec.json.encode(message) + b"\n"


def read_message(line: bytes) -> Message:
    """Raises NotUnderstood."""
    try:
        return _MESSAGE.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotUnderstood(f"A job process said what it should not have: {error}") from error


def read_order(line: bytes) -> Order:
    """Raises NotUnderstood."""
    try:
        return _ORDER.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotUnderstood(f"A job process was told what it should not have been: {error}") from error
