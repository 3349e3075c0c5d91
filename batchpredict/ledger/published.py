"""The names of a job's results in its output folder, and whose results stand there.

Names are the service's: `prediction.results-SSSSS-of-NNNNN` and `prediction.errors_stats-00000-of-00001`.
`prediction.errors-SSSSS-of-NNNNN` and `_SUCCESS` are ours.
"""

from __future__ import annotations

import fnmatch
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import NoInput, OutputRefused
from batchpredict.formats import OutputFormat
from batchpredict.ledger.access import reading, writing
from batchpredict.ledger.staging import FOLDER, Staging

SUCCESS = "_SUCCESS"
STATS = "prediction.errors_stats-00000-of-00001"
CSV_HEADER = "prediction.results_header.csv"

# Stands for an owner whose name cannot be read: not this job, whoever asks.
_UNKNOWN = "unknown"

_PREFIXES = ("prediction.results", "prediction.errors", "prediction.errors_stats")


def results_name(shard: int, shards: int, output: OutputFormat) -> str:
    return f"prediction.results-{_sharded(shard, shards)}{output.suffix}"


def errors_name(shard: int, shards: int) -> str:
    return f"prediction.errors-{_sharded(shard, shards)}"


def _sharded(shard: int, shards: int) -> str:
    """Five digits, as the service had it; more where there are more shards, so that names sort as numbers do."""
    width = max(5, len(str(shards)))
    return f"{shard:0{width}d}-of-{shards:0{width}d}"


def is_result(name: str) -> bool:
    """Whether a file of an output folder is a job's: a result, an error file or the mark of success."""
    return name == SUCCESS or name.startswith(_PREFIXES)


def owns(output_path: str, pattern: str, output: OutputFormat) -> bool:
    """Whether an input pattern, or an input's plain path, asks for results in an output folder.

    It does if it names that folder and what it says of names fits results. A pattern that comes by the folder with
    a wildcard (`in/**`) does not ask for them: they are left out of what it matches.

    Raises:
      NoInput: the pattern's file system refuses to answer.
    """
    folder = storage.canonical(output_path)
    try:
        is_folder = pattern.endswith("/") or storage.is_directory(pattern)
    except OSError as error:
        raise NoInput(f"inputPaths: '{pattern}' cannot be listed: {error}") from error
    if is_folder:
        return storage.canonical(pattern) == folder
    inside, name = _folder_of(pattern), storage.name_of(pattern)
    if storage.canonical(inside) != folder:
        return False
    if not storage.is_magic(name):
        return is_result(name)
    own = (results_name(0, 1, output), errors_name(0, 1), STATS)
    return any(fnmatch.fnmatchcase(one, name) for one in own)


class OwnFiles:
    """Tells the files that a job writes into its output folder from those of others.

    These are everything below `_batchpredict` and the results, whichever job they are of: another one's are
    replaced, or make this one stop before it begins.
    """

    def __init__(self, output_path: str) -> None:
        self._folder = storage.canonical(output_path)
        # Links are followed once for each folder, not for each file.
        self._canonical = functools.lru_cache(maxsize=256)(storage.canonical)

    def __call__(self, url: str) -> bool:
        inside = self._canonical(_folder_of(url))
        if inside == self._folder:
            return is_result(storage.name_of(url))
        staging = storage.join(self._folder, FOLDER)
        return inside == staging or inside.startswith(f"{staging}/")


def _folder_of(url: str) -> str:
    return storage.parent(url) or ("/" if url.startswith("/") else "")


@dataclass(frozen=True)
class Occupancy:
    """What stands in an output folder.

    Attributes:
      owner: fingerprint of the job that last began to publish here; None if no job of ours did.
      complete: the mark of success is there.
      used: results are there, or the mark.
    """

    owner: str | None
    complete: bool
    used: bool


def occupancy(output_path: str) -> Occupancy:
    """Look into an output folder.

    Raises:
      OutputRefused: it cannot be listed, or is a file.
    """

    def ask(question: Callable[..., bool], *about: str) -> bool:
        try:
            return reading(output_path, question, *about)
        except FileNotFoundError as error:
            # No answer to these: it is the bucket that is not there.
            raise OutputRefused(f"outputPath: cannot read '{output_path}': {error}") from error

    if ask(storage.exists, output_path) and not ask(storage.is_directory, output_path):
        raise OutputRefused(f"outputPath: '{output_path}' is a file; it must be a folder.")
    complete = ask(storage.exists, storage.join(output_path, SUCCESS))
    # The first shards tell: a folder of a million need not be listed.
    used = complete or any(ask(storage.any_begins, output_path, f"{prefix}-000") for prefix in _PREFIXES)
    return Occupancy(owner_of(output_path), complete, used)


def owner_of(output_path: str) -> str | None:
    """Fingerprint of the job that last began to publish in a folder; None if no job of ours did.

    Raises:
      OutputRefused: the folder cannot be read.
    """
    try:
        owner = json.loads(reading(output_path, storage.read_bytes, _owner(output_path)))["fingerprint"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return _UNKNOWN
    return owner if isinstance(owner, str) and owner else _UNKNOWN


def _owner(output_path: str) -> str:
    return storage.join(output_path, FOLDER, "owner.json")


def refuse_others(staging: Staging, found: Occupancy, *, overwrite: bool) -> None:
    """Refuse an output folder that holds results of another job.

    Raises:
      OutputRefused: it does, and they may not be overwritten.
    """
    if found.used and found.owner != staging.fingerprint and not overwrite:
        raise OutputRefused(
            f"outputPath: '{staging.output_path}' holds the results of another job (or of other inputs, another "
            "model or other options). Choose another folder, or replace them with --overwrite."
        )


def take_over(staging: Staging, found: Occupancy) -> None:
    """Remove what another job, or an earlier run of this one, left; from here on the folder is this job's.

    Results of this very job stay: they were published by a run that was interrupted, or by one that is
    publishing at this moment and may have finished since we looked.

    Raises:
      OutputRefused: the folder cannot be written, or has become another job's.
    """
    output_path = staging.output_path
    with writing(output_path):
        # The folders that had to be made so far: what is published must not outlive the name of its owner.
        storage.sync_folders(staging.root)
        repeated = found.complete and not reading(output_path, storage.exists, staging.output)
        if found.owner != staging.fingerprint or repeated:
            _clear(staging, found)
        text = json.dumps({"fingerprint": staging.fingerprint}).encode()
        if found.owner is not None:
            storage.replace_bytes(_owner(output_path), text)
        elif not storage.create_if_absent(_owner(output_path), text):
            # Another job has begun to publish into the same empty folder since we looked.
            refuse_others(staging, Occupancy(owner_of(output_path), complete=True, used=True), overwrite=False)


def _clear(staging: Staging, found: Occupancy) -> None:
    output_path = staging.output_path
    # The mark of success goes first, for good: nobody may take half of the old results for all of them.
    if found.complete:
        storage.delete(storage.join(output_path, SUCCESS))
        storage.sync_folders(output_path)
    if found.owner is not None and found.owner != staging.fingerprint:
        # Its manifests promise parts that have become the results which go now.
        storage.delete(Staging(output_path, found.owner).root, recursive=True)
    for name in reading(output_path, storage.list_names, output_path):
        if is_result(name):
            storage.delete(storage.join(output_path, name))
    # What is here from now on is this job's, so nothing of another one may come back.
    storage.sync_folders(output_path)
