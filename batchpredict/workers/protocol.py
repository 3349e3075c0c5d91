"""What a supervisor and its worker process say to each other, and the note of a call that outlives the worker.

Messages are pickled over a pipe: both ends are the same program. The note is 33 bytes of a file that both have
open; the worker writes into it which records the model is about to get, and whoever finds the worker dead
reads it.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

from batchpredict.ledger import Manifest
from batchpredict.scoring import Place, Range


@dataclass(frozen=True)
class Setup:
    """What a worker process must know before its first split.

    Attributes:
      spec: the job, as JSON.
      fingerprint: names its staging folder.
      threads: threads that one operation of the model may use.
      model: digest of the model's files as the job was planned with them; None for whatever is there.
    """

    spec: str
    fingerprint: str
    threads: int
    model: str | None = None


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""


@dataclass(frozen=True)
class Progress:
    """How far the split under way is."""

    predictions: int = 0
    errors: int = 0
    bytes_read: int = 0
    first_error: str | None = None


@dataclass(frozen=True)
class Warned:
    """Something to tell the job's user, once however many processes find it.

    Attributes:
      kind: a short stable word, which tells warnings apart that are not the same.
      message: what to say, which may differ from one process to the next.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Done:
    """The split is committed; `manifest` is None if another attempt did that."""

    manifest: Manifest | None


@dataclass(frozen=True)
class Failed:
    """The job cannot go on. `error`: one of ours as `errors.to_document` writes it; else None, and a message."""

    error: dict[str, Any] | None
    message: str = ""


_CALL_NOTE = struct.Struct("<B4q")


class CallNote:
    """A place in a file where a worker notes which records are with the model."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def note(self, first: Place, last: Place) -> None:
        os.pwrite(self._handle, _CALL_NOTE.pack(1, *first, *last), 0)

    def clear(self) -> None:
        os.pwrite(self._handle, b"\0", 0)

    def read(self) -> Range | None:
        """What was noted last; None if no call is under way."""
        data = os.pread(self._handle, _CALL_NOTE.size, 0)
        if len(data) < _CALL_NOTE.size or not data[0]:
            return None
        _, *places = _CALL_NOTE.unpack(data)
        return Range(Place(*places[:2]), Place(*places[2:]))
