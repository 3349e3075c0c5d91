"""What jobs have left behind in an output folder: which of it nobody needs, and its removal.

    OUTPUT/_batchpredict/FINGERPRINT/                       of a job that never published here, or not last
    OUTPUT/_batchpredict/FINGERPRINT/parts/                 of the job whose results stand here, all of them
    OUTPUT/_batchpredict/…/NAME.XXXXXXXX.deleted/           a folder whose deletion was interrupted
    OUTPUT/_batchpredict/submissions/NAME.….json            of a pipeline that nobody runs any more
    OUTPUT/.….tmp, OUTPUT/_batchpredict/….tmp               a small file whose writing was interrupted

The job whose results stand in the folder keeps what proves them. Of all else, what has changed lately may belong to
a job that runs, or that was interrupted and is to go on, and stays.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import BatchPredictError
from batchpredict.ledger.access import reading, writing
from batchpredict.ledger.finished import finished_output
from batchpredict.ledger.published import owner_of
from batchpredict.ledger.staging import FOLDER, Staging

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_DELETED = re.compile(r".+\.[0-9a-f]{8}\.deleted")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_NOTE = re.compile(r"([^.]+)\.[a-z]+\.json")
_PLAN_NOTE = ".plan.json"

STAGING = "staging"
PARTS = "parts"
DELETED = "interrupted deletion"
TEMPORARY = "temporary file"
SUBMISSION = "submission"


@dataclass(frozen=True)
class Leftover:
    """Something that can go.

    Attributes:
      kind: one of the constants above.
      path: below OUTPUT; of a submission, what its files' names begin with.
      files: their paths below OUTPUT, where there are few; else the path is a folder that goes as a whole.
      count, bytes: of files.
      changed: when the newest of them was written, seconds since the epoch.
    """

    kind: str
    path: str
    files: tuple[str, ...]
    count: int
    bytes: int
    changed: float


@dataclass
class _Group:
    """Files that go, or stay, together; `changed` is infinite where a file system does not say."""

    kind: str
    files: tuple[str, ...] = ()
    count: int = 0
    bytes: int = 0
    changed: float = 0.0

    def add(self, entry: storage.AgedFile) -> None:
        self.count += not entry.path.endswith("/")
        self.bytes += entry.size
        self.changed = max(self.changed, float("inf") if entry.changed is None else entry.changed)


def leftovers(
    entries: Iterable[storage.AgedFile],
    before: float,
    *,
    owner: str | None,
    done: bool,
    plans: Mapping[str, str],
) -> Iterator[Leftover]:
    """What of the entries of an output folder can go. Pure.

    Args:
      entries: paths below the output folder.
      before: seconds since the epoch; what has changed since then stays.
      owner: fingerprint of the job whose results stand here.
      done: they are complete.
      plans: the fingerprints that submissions work on, of those that have said so.
    """
    groups: dict[str, _Group] = {}
    last: dict[str, float] = {}
    for entry in entries:
        found = _group_of(entry.path, owner, done)
        if (fingerprint := _fingerprint_of(entry.path)) is not None:
            changed = float("inf") if entry.changed is None else entry.changed
            last[fingerprint] = max(last.get(fingerprint, 0.0), changed)
        if found is not None:
            kind, path, whole = found
            group = groups.setdefault(path, _Group(kind))
            group.add(entry)
            if not whole:
                group.files = (*group.files, entry.path)
    for path, group in sorted(groups.items()):
        if group.changed >= before:
            continue
        if group.kind == SUBMISSION:
            # Its notes are written once; whether it is alive is seen by what it commits.
            fingerprint = plans.get(path.rpartition("/")[2])
            if fingerprint is not None and last.get(fingerprint, 0.0) >= before:
                continue
        yield Leftover(group.kind, path, group.files, group.count, group.bytes, group.changed)


def _fingerprint_of(path: str) -> str | None:
    folder, _, rest = path.partition("/")
    name = rest.partition("/")[0]
    return name if folder == FOLDER and _FINGERPRINT.fullmatch(name) else None


def _group_of(path: str, owner: str | None, done: bool) -> tuple[str, str, bool] | None:
    """What goes together with a file: kind, path, and whether that is a whole folder. None for what stays."""
    parts = path.rstrip("/").split("/")
    fingerprint = _fingerprint_of(path)
    if fingerprint is not None and fingerprint != owner:
        return STAGING, "/".join(parts[:2]), True
    if parts[0] == FOLDER:
        # The deletion of a staging folder, or of one of its folders.
        for depth in (2, 3):
            if len(parts) >= depth and _DELETED.fullmatch(parts[depth - 1]):
                return DELETED, "/".join(parts[:depth]), True
        if fingerprint is not None and done and parts[2:3] == ["parts"]:
            return PARTS, "/".join(parts[:3]), True
        if parts[1:2] == ["submissions"] and len(parts) == 3 and (note := _NOTE.fullmatch(parts[2])):
            return SUBMISSION, "/".join((*parts[:2], note[1])), False
    elif len(parts) > 1:
        return None
    return (TEMPORARY, path, False) if _TEMPORARY.fullmatch(parts[-1]) else None


def find_leftovers(output_path: str, before: float) -> list[Leftover]:
    """What in an output folder can go.

    Args:
      before: seconds since the epoch; what has changed since then stays.

    Raises:
      OutputRefused: the folder cannot be read.
    """
    owner = owner_of(output_path)
    done = owner is not None and _is_done(output_path, owner)
    # Before the entries: a submission that says meanwhile what it works on is a recent one.
    plans = dict(reading(output_path, lambda: list(_plans(output_path))))
    return reading(
        output_path,
        lambda: list(leftovers(_entries(output_path), before, owner=owner, done=done, plans=plans)),
    )


def _entries(output_path: str) -> Iterator[storage.AgedFile]:
    base = storage.join(output_path, FOLDER)
    for entry in storage.walk(base):
        yield storage.AgedFile(f"{FOLDER}/{entry.path}", entry.size, entry.changed)
    # Only a local file is written aside.
    if storage.is_local(output_path) and any(map(_TEMPORARY.fullmatch, storage.list_names(output_path))):
        yield from (entry for entry in storage.walk(output_path) if _TEMPORARY.fullmatch(entry.path))


def _is_done(output_path: str, owner: str) -> bool:
    try:
        return finished_output(Staging(output_path, owner)) is not None
    except BatchPredictError:
        return False


def _plans(output_path: str) -> Iterator[tuple[str, str]]:
    """Submissions with the fingerprints that they work on."""
    folder = storage.join(output_path, FOLDER, "submissions")
    for name in storage.list_names(folder):
        if name.endswith(_PLAN_NOTE):
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
                document = json.loads(storage.read_bytes(storage.join(folder, name)))
                yield name.removesuffix(_PLAN_NOTE), str(document["fingerprint"])


def remove(output_path: str, leftover: Leftover) -> None:
    """Remove something that `find_leftovers` has found. What has gone meanwhile is fine.

    Raises:
      OutputRefused: it cannot be deleted.
    """
    with writing(output_path):
        for path in leftover.files:
            storage.delete(storage.join(output_path, path))
        if not leftover.files:
            storage.delete(storage.join(output_path, leftover.path), recursive=True)
