"""Publishing: the proven parts of a job become its results, all of them or none.

Every step can be repeated, by anyone, at any time: parts are moved to their names one by one, `_SUCCESS` comes
last, and whoever finds a publish half done goes on with it.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson
from pydantic import TypeAdapter, ValidationError

from batchpredict import storage
from batchpredict.errors import OutputRefused, StagingDamaged
from batchpredict.formats import Split
from batchpredict.formats.results import csv_lines
from batchpredict.job import PredictionOutput
from batchpredict.prediction.budget import Tally, check, parse_budget
from batchpredict.prediction.chain import Link, Redo, links, segment_of
from batchpredict.prediction.manifest import Manifest, PartFile, SegmentReport
from batchpredict.prediction.published import (
    CSV_HEADER,
    STATS,
    SUCCESS,
    errors_name,
    is_result,
    occupancy,
    refuse_others,
    results_name,
    take_over,
)
from batchpredict.prediction.spec import PredictionSpec
from batchpredict.prediction.staging import Staging
from batchpredict.storage.files import close_written

# Moving a file in an object store is a copy, all latency; on a local disk one at a time is as fast.
_MOVERS = 16
# Distinct messages in the statistics of a job.
_STATS_LIMIT = 10_000
# Rounds of scoring splits again whose parts are gone.
_REPAIRS = 3


@dataclass
class _Shelf:
    """What the links of a job come to: counts, and what has to be moved where."""

    tally: Tally = field(default_factory=Tally)
    node_seconds: float = 0.0
    columns: tuple[str, ...] = ()
    results: list[PartFile] = field(default_factory=list)
    errors: list[tuple[PartFile, tuple[SegmentReport, ...], tuple[int, ...]]] = field(default_factory=list)
    stats: Counter[str] = field(default_factory=Counter)

    def add(self, link: Link) -> None:
        manifest = link.manifest
        self.tally += Tally.of(manifest)
        self.node_seconds += manifest.node_seconds
        self.columns = manifest.columns
        self.results.append(manifest.results)
        if manifest.errors is not None:
            self.errors.append((manifest.errors, manifest.segments, link.bases))
        for message, count in manifest.error_stats:
            known = message in self.stats or len(self.stats) < _STATS_LIMIT
            self.stats[message if known else "other errors"] += count


@dataclass(frozen=True)
class _Stored:
    """What `output.json` holds. `files`: bytes by name; names only where version 0.1 wrote it."""

    predictionOutput: PredictionOutput  # noqa: N815 - as it is on the wire
    files: dict[str, int] | list[str]


_STORED = TypeAdapter(_Stored)


def finished_output(staging: Staging) -> PredictionOutput | None:
    """The output of a job whose results are all published; None if they are not.

    Raises:
      StagingDamaged: they were, and one of them is gone.
    """
    found = occupancy(staging.output_path)
    if not found.complete or found.owner != staging.fingerprint:
        return None
    try:
        stored = _STORED.validate_json(storage.read_bytes(staging.output))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StagingDamaged(f"{staging.output} cannot be read; run the job again with --fresh.") from error
    files = stored.files if isinstance(stored.files, dict) else dict.fromkeys(stored.files)
    for name, size in files.items():
        there = found.sizes.get(name)
        if there is None or (size is not None and there != size):
            what = "is gone" if there is None else f"has {there} bytes instead of {size}"
            raise StagingDamaged(
                f"The results of this job were published and {name} {what} since; run it again with --fresh."
            )
    return PredictionOutput.model_validate({**stored.predictionOutput.to_wire(), "outputPath": staging.output_path})


def publish(
    spec: PredictionSpec, staging: Staging, splits: int, *, overwrite: bool, redo: Redo
) -> PredictionOutput:
    """Publish a job whose splits are all committed.

    Args:
      spec: the job.
      staging: its staging folder.
      splits: how many splits it has.
      overwrite: results of another job may be replaced.
      redo: see `chain.links`.

    Raises:
      BudgetSpent: the job has more errors than it may.
      OutputRefused: the folder holds another job's results, or cannot be written.
      StagingDamaged: something that was committed is gone.
    """
    done = finished_output(staging)
    if done is not None:
        return done
    shelf = _gather(staging, splits, redo)
    first = next(iter(shelf.stats), None)
    check(parse_budget(spec.max_errors), shelf.tally, first)
    found = occupancy(staging.output_path)
    refuse_others(staging, found, overwrite=overwrite)
    output = PredictionOutput(
        output_path=spec.output_path,
        prediction_count=shelf.tally.predictions,
        error_count=shelf.tally.errors,
        node_hours=shelf.node_seconds / 3600,
    )
    try:
        take_over(staging, found)
        _move_all(spec, staging, shelf, output)
    except FileNotFoundError as error:
        # Two published at once, and the other has finished and cleaned up.
        done = finished_output(staging)
        if done is not None:
            return done
        raise StagingDamaged(f"A committed part is gone ({error}); run the job again with --fresh.") from error
    except OSError as error:
        raise OutputRefused(f"outputPath: cannot write to '{spec.output_path}': {error}") from error
    return output


def _gather(staging: Staging, splits: int, redo: Redo) -> _Shelf:
    """The proven links of a job, each with its part; a split whose part is gone or cut short is scored again.

    That happens when a manifest was created although its creator was told that it was not, when staging was
    cleared while an attempt was under way, or when somebody touched the files.
    """
    parts = storage.sizes_in(staging.parts)
    published = occupancy(staging.output_path).owner == staging.fingerprint
    for _ in range(_REPAIRS):
        shelf = _Shelf()
        lost: list[Manifest] = []
        for link in links(staging, splits, redo):
            shelf.add(link)
            if not published and not _whole(link.manifest, parts):
                lost.append(link.manifest)
        # What a redo has just written is not in the listing that was made before it.
        parts = storage.sizes_in(staging.parts) if lost else parts
        lost = [manifest for manifest in lost if not _whole(manifest, parts)]
        if not lost:
            break
        for manifest in lost:
            staging.forget(manifest)
            redo(Split(manifest.split, tuple(map(segment_of, manifest.segments))), manifest.forced_start)
        parts = storage.sizes_in(staging.parts)
    return shelf


def _whole(manifest: Manifest, parts: Mapping[str, int]) -> bool:
    """Whether the files of a committed part are all there, at their size."""
    files = [manifest.results, *([manifest.errors] if manifest.errors else [])]
    return all(parts.get(file.name) == file.bytes for file in files)


def _move_all(spec: PredictionSpec, staging: Staging, shelf: _Shelf, output: PredictionOutput) -> None:
    shards = len(shelf.results)
    results = [(part, results_name(shard, shards, spec.output_format)) for shard, part in enumerate(shelf.results)]
    _each(staging, lambda move: _move(staging, *move), results)
    error_shards = max(len(shelf.errors), 1)
    errors = [errors_name(shard, error_shards) for shard in range(error_shards)]
    text = spec.data_format == "TEXT"
    _each(
        staging,
        lambda job: _publish_errors(staging, job[0], *job[1], text=text),
        list(zip(errors, shelf.errors, strict=False)),
    )
    small = {STATS: _stats(shelf.stats)}
    if not shelf.errors:
        small[errors[0]] = b""
    if spec.output_format == "CSV":
        small[CSV_HEADER] = csv_lines([shelf.columns])
    for name, data in small.items():
        storage.replace_bytes(storage.join(staging.output_path, name), data)
    names = {name for _, name in results} | set(errors) | set(small)
    for name in storage.list_names(staging.output_path):
        # Left by a publish of this job that was interrupted when it had other errors.
        if is_result(name) and name not in names | {SUCCESS}:
            storage.delete(storage.join(staging.output_path, name))
    sizes = storage.sizes_in(staging.output_path)
    stored = {"predictionOutput": output.to_wire(), "files": {name: sizes[name] for name in sorted(names)}}
    storage.replace_bytes(staging.output, json.dumps(stored, indent=1).encode())
    refuse_others(staging, occupancy(staging.output_path), overwrite=False)
    # Parts are not synced one by one as they are committed: one that a power cut took is found by its size.
    storage.sync(*(storage.join(staging.output_path, name) for name in sorted(names)))
    storage.replace_bytes(storage.join(staging.output_path, SUCCESS), b"")
    with contextlib.suppress(OSError):
        # The job has succeeded; parts of attempts that came too late are only litter.
        storage.delete(staging.parts, recursive=True)


def _each(staging: Staging, step: Callable[..., None], items: Iterable[object]) -> None:
    if storage.is_local(staging.output_path):
        for item in items:
            step(item)
        return
    with ThreadPoolExecutor(_MOVERS) as pool:
        for _ in pool.map(step, items):
            pass


def _move(staging: Staging, part: PartFile, name: str) -> None:
    """Give a part its published name; a publish before this one may have done it already."""
    source, target = staging.part(part.name), storage.join(staging.output_path, name)
    try:
        storage.move(source, target)
    except FileNotFoundError:
        if not storage.exists(target) or storage.size_of(target) != part.bytes:
            raise


def _publish_errors(
    staging: Staging,
    name: str,
    part: PartFile,
    segments: tuple[SegmentReport, ...],
    bases: tuple[int, ...],
    *,
    text: bool,
) -> None:
    """Publish one file of errors, each with its source file and its position in that file."""
    target = storage.join(staging.output_path, name)
    rewritten = staging.part(staging.new_part(0, ".errors.published"))
    try:
        lines = storage.open_read(staging.part(part.name))
    except FileNotFoundError:
        # Two publish at once, and the other has finished and cleaned up.
        if storage.exists(target):
            return
        raise
    with lines:
        file = storage.open_write(rewritten)
        try:
            file.writelines(_located(lines, segments, bases, text=text))
        finally:
            close_written(file)
    storage.move(rewritten, target)


def _located(
    lines: Iterable[bytes], segments: tuple[SegmentReport, ...], bases: tuple[int, ...], *, text: bool
) -> Iterator[bytes]:
    for line in lines:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            damaged = f"Errors of '{segments[0].path}' cannot be read from staging; run the job again with --fresh."
            raise StagingDamaged(damaged) from error
        segment = entry.pop("segment")
        index = bases[segment] + entry.pop("index")
        place = {"source": segments[segment].path, "offset": entry.pop("offset"), "index": index}
        if text:
            place["line"] = index + 1
        yield orjson.dumps({**place, **entry}, option=orjson.OPT_APPEND_NEWLINE)


def _stats(stats: Counter[str]) -> bytes:
    """A line for each message as the service wrote it, the repr of a pair; the count is of instances."""
    pairs = sorted(stats.items(), key=lambda pair: (-pair[1], pair[0]))
    return "".join(f"{pair!r}\n" for pair in pairs).encode("utf-8", "backslashreplace")
