"""What the process of a watch and its worker say to each other: JSON lines, as of jobs (`worker.protocol`)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from batchpredict.service.worker.protocol import NotUnderstood


class WatchOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the process of a watch is to do.

    Attributes:
      watch_id: of the watch.
      source: predictionInput of its jobs on the wire, less model and output.
      inputs: patterns, as they are to be used.
      output_path: of the watch.
      uri: of the model, or of a folder of its versions if `newest_version`; "" where the worker is asked.
      every, settle: seconds.
      max_files, max_bytes: of an epoch; None for no bound.
      changed: RESCORE, IGNORE or FAIL.
      tries: of an epoch.
      roots, excluded: below which its places must lie, as `RootedPaths` takes them; no roots for anywhere.
    """

    watch_id: str
    source: dict[str, Any]
    inputs: list[str]
    output_path: str
    uri: str = ""
    newest_version: bool = False
    every: float = 30.0
    settle: float = 10.0
    max_files: int | None = None
    max_bytes: int | None = None
    changed: str = "RESCORE"
    tries: int = 5
    roots: list[str] = []
    excluded: list[str] = []


# What the process says


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """Something that people want to know. `severity`: INFO or WARNING."""

    severity: str
    text: str


class EpochStands(msgspec.Struct, frozen=True):
    """An epoch whose results are not there: it is open, or `set_aside`."""

    epoch: int
    files: int
    bytes: int
    model: str
    failures: int
    reason: str
    set_aside: bool = False


class Stands(msgspec.Struct, frozen=True, tag="stands"):
    """How the epochs stand, by the ledger."""

    last: int
    epochs: list[EpochStands]


class AskModel(msgspec.Struct, frozen=True, tag="askModel"):
    """Which model is the next epoch to be scored with? Answered by `ModelIs` or `Refusal`."""


class Submit(msgspec.Struct, frozen=True, tag="submit"):
    """Have an epoch scored. Answered by `JobEnded` or `Refusal`, when it is.

    Attributes:
      epoch: its number.
      source: predictionInput of its job on the wire, less model and output.
      model: URI.
      output_path: of the epoch.
      input_list: URL of the list of its files.
      bytes: of these.
      overwrite, fresh: as `launch.prediction_work` takes them.
    """

    epoch: int
    source: dict[str, Any]
    model: str
    output_path: str
    input_list: str
    bytes: int
    overwrite: bool
    fresh: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A person has to look at something before the watch can go on. The process ends."""

    reason: str


WatchMessage: TypeAlias = Noted | Stands | AskModel | Submit | Refused


# What the worker says


class ModelIs(msgspec.Struct, frozen=True, tag="modelIs"):
    """The URI of the model's files."""

    uri: str


class JobEnded(msgspec.Struct, frozen=True, tag="jobEnded"):
    """The job has succeeded, and come to this on the wire."""

    output: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """There is no such model, or the job has failed: an error as `errors.to_document` writes it."""

    error: dict[str, Any]


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    """Take up what was set aside."""


Reply: TypeAlias = ModelIs | JobEnded | Refusal | Retry

_MESSAGE: msgspec.json.Decoder[WatchMessage] = msgspec.json.Decoder(WatchMessage)
_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_ORDER = msgspec.json.Decoder(WatchOrder)


def read_message(line: bytes) -> WatchMessage:
    """Raises NotUnderstood."""
    try:
        return _MESSAGE.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotUnderstood(f"The process of a watch said what it should not have: {error}") from error


def read_reply(line: bytes) -> Reply:
    """Raises NotUnderstood."""
    try:
        return _REPLY.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotUnderstood(f"The process of a watch was told what it should not have been: {error}") from error


def read_order(line: bytes) -> WatchOrder:
    """Raises NotUnderstood."""
    try:
        return _ORDER.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotUnderstood(f"The process of a watch was told what it should not have been: {error}") from error
