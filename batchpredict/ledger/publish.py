"""Publishing: the proven parts of a job become its results, all of them or none.

Every step can be repeated, by anyone, at any time: parts are moved to their names one by one, `_SUCCESS` comes
last, and whoever finds a publish half done goes on with it. The steps are `prove` for each page, `settle`,
`publish_page` for each page, and `finish`; a pipeline does the pages in parallel, `publish` one after the other.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson
from pydantic import TypeAdapter, ValidationError

from batchpredict import storage
from batchpredict.errors import OutputRefused, StagingDamaged
from batchpredict.formats.results import csv_lines
from batchpredict.job import PredictionOutput
from batchpredict.ledger.budget import Tally, check, parse_budget
from batchpredict.ledger.chain import Redo
from batchpredict.ledger.manifest import PartFile
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.proof import Proof, ProvenPart, add_stats, chain_pages, prove, proven_parts
from batchpredict.ledger.published import (
    CSV_HEADER,
    STATS,
    SUCCESS,
    errors_name,
    is_result,
    occupancy,
    owner_of,
    refuse_others,
    results_name,
    take_over,
)
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging

# Moving a file in an object store is a copy, all latency; on a local disk one at a time is as fast.
_MOVERS = 16


@dataclass(frozen=True)
class Order:
    """What is to be done with a page of proven splits.

    Attributes:
      page: its number.
      path, records: the input file that it continues, and the records of it that lie before the page.
      first_error: number of its first error file.
      error_files: error files of the whole job, at least one.
    """

    page: int
    path: str
    records: int
    first_error: int
    error_files: int


@dataclass(frozen=True)
class Settled:
    """A job whose every split is proven and fits, and which may be published.

    Attributes:
      output: what it came to, on the wire.
      orders: what is left to do, by page; none if all is published.
      error_files: how many splits have errors.
      columns: names of the fields of a result.
      stats: instances by error message.
      found: the folder held results of this job already, of a publish that was interrupted.
      done: everything is published.
    """

    output: dict[str, object]
    orders: tuple[Order, ...] = ()
    error_files: int = 0
    columns: tuple[str, ...] = ()
    stats: dict[str, int] = field(default_factory=dict)
    found: bool = False
    done: bool = False


@dataclass(frozen=True)
class _Stored:
    """What `output.json` holds.

    `files`: bytes by name; names only where version 0.1 wrote it. `pages`: how many pages of `published/` have
    more.
    """

    predictionOutput: PredictionOutput  # noqa: N815 - as it is on the wire
    files: dict[str, int] | list[str]
    pages: int = 0


_STORED = TypeAdapter(_Stored)
_SIZES = TypeAdapter(dict[str, int])


def finished_output(staging: Staging) -> PredictionOutput | None:
    """The output of a job whose results are all published; None if they are not.

    Raises:
      StagingDamaged: they were, and one of them is gone.
    """
    success = storage.join(staging.output_path, SUCCESS)
    try:
        # Whose folder it is first: of a job that is not done, nothing else is asked.
        if owner_of(staging.output_path) != staging.fingerprint or not storage.exists(success):
            return None
    except OSError as error:
        raise OutputRefused(f"outputPath: cannot read '{staging.output_path}': {error}") from error
    try:
        stored = _STORED.validate_json(storage.read_bytes(staging.output))
        files = stored.files if isinstance(stored.files, dict) else dict.fromkeys(stored.files)
        _check_published(staging, files)
        for page in range(stored.pages):
            _check_published(staging, _SIZES.validate_json(storage.read_bytes(staging.published(page))))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StagingDamaged(f"{staging.output} cannot be read; run the job again with --fresh.") from error
    return PredictionOutput.model_validate({**stored.predictionOutput.to_wire(), "outputPath": staging.output_path})


def _check_published(staging: Staging, files: dict[str, int] | dict[str, None]) -> None:
    there = storage.sizes_of(staging.output_path, list(files))
    for name, size in files.items():
        now = there.get(name)
        if now is None or (size is not None and now != size):
            what = "is gone" if now is None else f"has {now} bytes instead of {size}"
            raise StagingDamaged(
                f"The results of this job were published and {name} {what} since; run it again with --fresh."
            )


def publish(spec: PredictionSpec, staging: Staging, plan: Plan, *, overwrite: bool, redo: Redo) -> PredictionOutput:
    """Publish a job whose splits are all committed.

    Args:
      spec: the job.
      staging: its staging folder.
      plan: its plan.
      overwrite: results of another job may be replaced.
      redo: has a split scored again.

    Raises:
      BudgetSpent: the job has more errors than it may.
      OutputRefused: the folder holds another job's results, or cannot be written.
      StagingDamaged: something that was committed is gone.
    """
    done = finished_output(staging)
    if done is not None:
        return done
    proofs = [prove(staging, plan, page, redo) for page in plan.pages]
    settled = settle(spec, staging, plan, proofs, overwrite=overwrite, redo=redo)
    for order in settled.orders:
        publish_page(spec, staging, plan, order)
    return finish(spec, staging, plan, settled)


def settle(
    spec: PredictionSpec, staging: Staging, plan: Plan, proofs: Sequence[Proof], *, overwrite: bool, redo: Redo
) -> Settled:
    """The last moment at which a job can be refused: from here on the folder is its own.

    Args:
      proofs: of all pages, in their order.

    Raises: what `publish` raises.
    """
    done = finished_output(staging)
    if done is not None:
        return Settled(done.to_wire(), done=True)
    pages = chain_pages(staging, plan, proofs, redo)
    tally = Tally()
    node_seconds = 0.0
    stats: Counter[str] = Counter()
    for proof, _ in pages:
        tally += proof.tally
        node_seconds += proof.node_seconds
        add_stats(stats, proof.stats.items())
    check(parse_budget(spec.max_errors), tally, next(iter(stats), None))
    found = occupancy(staging.output_path)
    refuse_others(staging, found, overwrite=overwrite)
    with _refusing(spec):
        take_over(staging, found)
    output = PredictionOutput(
        output_path=spec.output_path,
        prediction_count=tally.predictions,
        error_count=tally.errors,
        node_hours=node_seconds / 3600,
    )
    error_files = sum(proof.error_files for proof, _ in pages)
    return Settled(
        output.to_wire(),
        tuple(_orders(pages, max(error_files, 1))),
        error_files,
        pages[-1][0].columns,
        dict(stats),
        found.owner == staging.fingerprint,
    )


def _orders(pages: Sequence[tuple[Proof, int]], error_files: int) -> Iterator[Order]:
    first_error = 0
    for proof, records in pages:
        yield Order(proof.page, proof.begin.path, records, first_error, error_files)
        first_error += proof.error_files


@contextlib.contextmanager
def _refusing(spec: PredictionSpec) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputRefused(f"outputPath: cannot write to '{spec.output_path}': {error}") from error


def publish_page(spec: PredictionSpec, staging: Staging, plan: Plan, order: Order) -> None:
    """Give the parts of one page their names.

    Raises:
      OutputRefused: the folder cannot be written.
      StagingDamaged: a part is gone.
    """
    try:
        with _refusing(spec):
            _publish_page(spec, staging, plan, order)
    except OutputRefused as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        # Two publish at once, and the other has finished and cleaned up.
        if finished_output(staging) is None:
            text = f"A committed part is gone ({error.__cause__}); run the job again with --fresh."
            raise StagingDamaged(text) from error


def _publish_page(spec: PredictionSpec, staging: Staging, plan: Plan, order: Order) -> None:
    results: list[tuple[PartFile, str]] = []
    errors: list[tuple[str, PartFile, list[tuple[str, int]]]] = []
    for number, part in zip(plan.page(order.page), proven_parts(staging, order.page), strict=True):
        results.append((part.results, results_name(number, plan.splits, spec.output)))
        if part.errors is not None:
            name = errors_name(order.first_error + len(errors), order.error_files)
            errors.append((name, part.errors, _sources(part, order)))
    _each(staging, lambda move: _move(staging, *move), results)
    numbered = spec.input.numbered_lines
    _each(staging, lambda job: _publish_errors(staging, *job, numbered=numbered), errors)
    sizes = {name: part.bytes for part, name in results}
    sizes |= storage.sizes_of(staging.output_path, [name for name, _, _ in errors])
    # Parts are not synced one by one as they are committed: one that a power cut took is found by its size.
    storage.sync(*(storage.join(staging.output_path, name) for name in sizes))
    storage.replace_bytes(staging.published(order.page), json.dumps(sizes).encode())


def _sources(part: ProvenPart, order: Order) -> list[tuple[str, int]]:
    """The files that a part's errors point into, with the records of each that lie before it."""
    return [(path, base + order.records if path == order.path else base) for path, base in part.sources]


def finish(spec: PredictionSpec, staging: Staging, plan: Plan, settled: Settled) -> PredictionOutput:
    """Write what is left when every page is published, the mark of success last.

    Raises:
      OutputRefused: the folder cannot be written, or has become another job's.
    """
    output = PredictionOutput.model_validate(settled.output)
    if settled.done or finished_output(staging) is not None:
        return output
    with _refusing(spec):
        small = {STATS: _stats(settled.stats)}
        if not settled.error_files:
            small[errors_name(0, 1)] = b""
        if spec.output.header:
            small[CSV_HEADER] = csv_lines([settled.columns])
        for name, data in small.items():
            storage.replace_bytes(storage.join(staging.output_path, name), data)
        if settled.found:
            _delete_stale(spec, staging, plan, settled, small)
        stored = {
            "predictionOutput": output.to_wire(),
            "files": {name: len(data) for name, data in small.items()},
            "pages": len(plan.pages),
        }
        storage.replace_bytes(staging.output, json.dumps(stored, indent=1).encode())
        refuse_others(staging, occupancy(staging.output_path), overwrite=False)
        storage.replace_bytes(storage.join(staging.output_path, SUCCESS), b"")
    with contextlib.suppress(OSError):
        # The job has succeeded; parts of attempts that came too late are only litter.
        storage.delete(staging.parts, recursive=True)
    return output


def _delete_stale(
    spec: PredictionSpec, staging: Staging, plan: Plan, settled: Settled, small: Iterable[str]
) -> None:
    """Delete what a publish of this job that was interrupted left when it had other errors."""
    results = (results_name(shard, plan.splits, spec.output) for shard in range(plan.splits))
    errors = (errors_name(shard, settled.error_files) for shard in range(settled.error_files))
    names = {SUCCESS, *small, *results, *errors}
    for name in storage.list_names(staging.output_path):
        if is_result(name) and name not in names:
            storage.delete(storage.join(staging.output_path, name))


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
    staging: Staging, name: str, part: PartFile, sources: Sequence[tuple[str, int]], *, numbered: bool
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
            file.writelines(_located(lines, sources, numbered=numbered))
        finally:
            storage.close_written(file)
    storage.move(rewritten, target)


# A line of an error part: where its record stood, and the rest, which is not decoded: a key may be a number that no
# type holds.
_ERROR = re.compile(rb'\{"segment":(\d+),"index":(\d+),"offset":(\d+)(,.*\}\n)', re.DOTALL)


def _located(lines: Iterable[bytes], sources: Sequence[tuple[str, int]], *, numbered: bool) -> Iterator[bytes]:
    for line in lines:
        match = _ERROR.fullmatch(line)
        if match is None:
            damaged = f"Errors of '{sources[0][0]}' cannot be read from staging; run the job again with --fresh."
            raise StagingDamaged(damaged)
        path, base = sources[int(match[1])]
        index = base + int(match[2])
        place = {"source": path, "offset": int(match[3]), "index": index}
        if numbered:
            place["line"] = index + 1
        yield orjson.dumps(place)[:-1] + match[4]


def _stats(stats: dict[str, int]) -> bytes:
    """A line for each message as the service wrote it, the repr of a pair; the count is of instances."""
    pairs = sorted(stats.items(), key=lambda pair: (-pair[1], pair[0]))
    return "".join(f"{pair!r}\n" for pair in pairs).encode("utf-8", "backslashreplace")
