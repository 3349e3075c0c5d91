"""The named errors of a job, read where they lie, a bounded number of bytes at a time.

A job that has succeeded has published them as `prediction.errors-SSSSS-of-NNNNN`, a JSON object a line, in the
order of its inputs. Before that, and for ever if it failed or was cancelled, they lie in its staging folder: the
manifest of each committed split names the part that holds them, in which a record's place counts from the beginning
of the split.
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchpredict import storage
from batchpredict.errors import BatchPredictError, InvalidName, NoMatch
from batchpredict.job import State
from batchpredict.ledger import Manifest, Staging, load_plan, occupancy
from batchpredict.service.access.interface import Paths
from batchpredict.service.console.views import prediction_input
from batchpredict.service.store.interface import StoredJob

PAGE = 25
"""Errors of a page."""

WINDOW = 256 * 1024
"""Bytes that are read of one file for one page. An error is a few kilobytes: its instance is cut at one."""

# Files, or splits without errors, that are looked at for one page.
_FILES = 200
_STATS_BYTES = 64 * 1024
_MESSAGES = 10

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_FIRST_FILE = re.compile(r"prediction\.errors-(0+)-of-(\d{5,})")


class Unreadable(BatchPredictError):
    """The errors of a job are not where they should be, or may not be read; says why."""


@dataclass(frozen=True)
class Position:
    """Where a page begins: a file of errors, or a split, and the byte of it; `inside` a line that goes on there."""

    number: int = 0
    offset: int = 0
    inside: bool = False

    def token(self) -> str:
        text = f"{self.number}.{self.offset}.{int(self.inside)}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, token: str) -> Position:
        """Raises InvalidName for what `token` did not write."""
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
            match = re.fullmatch(r"(\d{1,9})\.(\d{1,18})\.([01])", text)
        except (binascii.Error, ValueError):
            match = None
        if match is None:
            raise InvalidName("There is no such page of errors; begin with the first one.")
        return cls(int(match[1]), int(match[2]), match[3] == "1")


@dataclass(frozen=True)
class Failure:
    """One error: `place` in words, and the fields of the error that pages show; all of it is text of others."""

    source: str
    place: str
    code: str
    message: str
    instance: str
    key: str
    records: int


@dataclass(frozen=True)
class FailurePage:
    """A page of errors; `following` is where the next one begins, None after the last.

    `provisional`: the job has not published them, so there may be more, and places count within splits.
    """

    failures: Sequence[Failure]
    following: Position | None
    provisional: bool


class Failures:
    """The errors of one job.

    Raises:
      Unreadable: from every operation.
    """

    def __init__(self, job: StoredJob, paths: Paths) -> None:
        self._job = job
        self._published = job.standing.state is State.SUCCEEDED
        asked = prediction_input(job.new.document)
        output_path = asked.get("outputPath") or asked.get("output_path")
        if not isinstance(output_path, str):
            raise Unreadable("Only prediction jobs have named errors.")
        try:
            # The roots may have changed since the job was created.
            self._folder = paths.check(output_path, "prediction_input.output_path")
        except BatchPredictError as error:
            raise Unreadable(f"The output folder of this job may not be read any more: {error}") from error
        told = str((job.progress or {}).get("staging") or "")
        fingerprint = storage.name_of(told) if told else ""
        self._fingerprint = fingerprint if _FINGERPRINT.fullmatch(fingerprint) else ""

    def page(self, begin: Position) -> FailurePage:
        if not self._fingerprint:
            return FailurePage((), None, not self._published)
        try:
            return self._of_published(begin) if self._published else self._of_staging(begin)
        except (OSError, NoMatch, ValueError) as error:
            raise Unreadable(f"The errors of this job cannot be read: {error}") from error
        except Unreadable:
            raise
        except BatchPredictError as error:
            raise Unreadable(f"The errors of this job cannot be read: {error}") from error

    def summary(self) -> list[tuple[str, int]]:
        """The most frequent messages with their counts; of one that goes on, of its first splits."""
        if not self._fingerprint:
            return []
        try:
            counts = self._published_stats() if self._published else self._staged_stats()
        except Unreadable:
            raise
        except (OSError, NoMatch, ValueError, BatchPredictError) as error:
            raise Unreadable(f"The summary of errors cannot be read: {error}") from error
        return counts.most_common(_MESSAGES)

    # Published.

    def _own_folder(self) -> None:
        if occupancy(self._folder).owner != self._fingerprint:
            raise Unreadable("Another job has put its results into the output folder since.")

    def _of_published(self, begin: Position) -> FailurePage:
        self._own_folder()
        files, width = self._files()
        found: list[Failure] = []
        at: Position | None = begin if begin.number < files else None
        looked = 0
        while at is not None and len(found) < PAGE and looked < _FILES:
            looked += 1
            name = f"prediction.errors-{at.number:0{width}d}-of-{files:0{width}d}"
            lines, rest = _lines(storage.join(self._folder, name), at, PAGE - len(found))
            found += [_failure(line) for line in lines]
            if rest is None:
                rest = Position(at.number + 1) if at.number + 1 < files else None
            at = rest
            if at is not None and at.offset:
                break
        return FailurePage(found, at, provisional=False)

    def _files(self) -> tuple[int, int]:
        """How many files of errors there are, and the digits of their numbers."""
        pattern = storage.join(self._folder, "prediction.errors-00000*-of-*")
        for file in storage.match([pattern]):
            match = _FIRST_FILE.fullmatch(storage.name_of(file.url))
            if match:
                return int(match[2]), len(match[1])
        return 0, 5

    def _published_stats(self) -> Counter[str]:
        self._own_folder()
        url = storage.join(self._folder, "prediction.errors_stats-00000-of-00001")
        return Counter(dict(parse_stats(storage.read_range(url, 0, _STATS_BYTES))))

    # Staged.

    def _of_staging(self, begin: Position) -> FailurePage:
        staging = Staging(self._folder, self._fingerprint)
        splits = load_plan(staging).splits
        end = min(begin.number + _FILES, splits)
        found: list[Failure] = []
        at = begin
        for manifest in self._manifests(staging, begin.number, splits):
            # What lies between two that are committed is not, yet.
            if manifest.split != at.number:
                at = Position(manifest.split)
            rest = None
            if manifest.errors is not None:
                sources = [segment.path for segment in manifest.segments]
                lines, rest = _lines(staging.part(manifest.errors.name), at, PAGE - len(found))
                found += [_failure(line, sources) for line in lines]
            at = rest or Position(manifest.split + 1)
            if at.offset or len(found) >= PAGE:
                return FailurePage(found, at if at.number < splits else None, provisional=True)
        return FailurePage(found, Position(end) if end < splits else None, provisional=True)

    def _staged_stats(self) -> Counter[str]:
        staging = Staging(self._folder, self._fingerprint)
        counts: Counter[str] = Counter()
        for manifest in self._manifests(staging, 0, load_plan(staging).splits):
            counts.update(dict(manifest.error_stats))
        return counts

    @staticmethod
    def _manifests(staging: Staging, begin: int, splits: int) -> Iterator[Manifest]:
        """Those of the committed splits among the next ones, in order, as they are read."""
        committed = staging.committed_among(range(begin, min(begin + _FILES, splits)))
        return staging.read_all((number, None) for number in committed)


def parse_stats(data: bytes) -> list[tuple[str, int]]:
    """The pairs of a file of `('message', count)` lines; a line that was cut at the end is left out."""
    pairs = []
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            message, count = ast.literal_eval(line)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(message, str) and isinstance(count, int):
            pairs.append((message, count))
    return pairs


def _lines(url: str, at: Position, most: int) -> tuple[list[bytes], Position | None]:
    """Up to `most` whole lines of a file from a position on, and where to go on; None at the end of the file.

    A line that the window does not hold is passed over, and stands here as an empty one.
    """
    data = storage.read_range(url, at.offset, at.offset + WINDOW)
    last = len(data) < WINDOW
    lines: list[bytes] = []
    begin = 0
    if at.inside:
        end = data.find(b"\n")
        if end < 0:
            return [], None if last else replace(at, offset=at.offset + len(data))
        begin = end + 1
    while len(lines) < most:
        end = data.find(b"\n", begin)
        if end < 0:
            break
        lines.append(data[begin:end])
        begin = end + 1
    else:
        return lines, None if last and begin == len(data) else Position(at.number, at.offset + begin)
    if last:
        return lines, None
    if lines or begin:
        return lines, Position(at.number, at.offset + begin)
    return [b""], Position(at.number, at.offset + len(data), inside=True)


def _failure(line: bytes, sources: Sequence[str] = ()) -> Failure:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        why = "This error is too long to be shown." if not line else "This line is not an error as jobs write it."
        return Failure("", "", "", why, line[:1000].decode("utf-8", "replace"), "", 1)
    return Failure(
        source=_source(fields, sources),
        place=_place(fields),
        code=str(fields.get("code", "")),
        message=str(fields.get("message", "")),
        instance=_readable(fields.get("instance")),
        key=_readable(fields.get("key")),
        records=fields["records"] if isinstance(fields.get("records"), int) else 1,
    )


def _source(fields: Mapping[str, Any], sources: Sequence[str]) -> str:
    segment = fields.get("segment")
    if isinstance(segment, int) and 0 <= segment < len(sources):
        return sources[segment]
    return str(fields.get("source", ""))


def _place(fields: Mapping[str, Any]) -> str:
    """Line, record and byte of an error, as far as it has them."""
    if "line" in fields:
        first = f"line {fields['line']}"
    elif "index" in fields and "segment" not in fields:
        first = f"record {fields['index']}"
    else:
        first = ""
    offset = f"byte {fields['offset']}" if "offset" in fields else ""
    return ", ".join(part for part in (first, offset) if part)


def _readable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
