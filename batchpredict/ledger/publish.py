"""Publishing: the proven parts of a job become its results, all of them or none.

Every step can be repeated, by anyone, at any time: parts are moved to their names one by one, `_SUCCESS` comes
last, and whoever finds a publish half done goes on with it. It may have been a power cut that ended the publish
before, so nothing is moved that is not on stable storage (`prove` sees to the results), and nothing that was moved
counts if it has another size than its manifest says. The steps are `prove` for each page, `settle`,
`publish_page` for each page, and `finish`; a pipeline does the pages in parallel, `publish_all` one after another.
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from batchpredict import storage
from batchpredict.errors import BudgetSpent, OutputRefused, StagingDamaged
from batchpredict.formats import csv_lines
from batchpredict.job import PredictionOutput
from batchpredict.ledger.access import each, reading, writing
from batchpredict.ledger.budget import Tally, check, parse_budget
from batchpredict.ledger.chain import Redo
from batchpredict.ledger.error_parts import ErrorPart, first_error, publish_errors
from batchpredict.ledger.finished import finished_output, store_output, store_sizes
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
    refuse_others,
    results_name,
    take_over,
)
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging


@dataclass(frozen=True)
class PublishOrder:
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
    orders: tuple[PublishOrder, ...] = ()
    error_files: int = 0
    columns: tuple[str, ...] = ()
    stats: dict[str, int] = field(default_factory=dict)
    found: bool = False
    done: bool = False


def publish_all(
    spec: PredictionSpec, staging: Staging, plan: Plan, *, overwrite: bool, redo: Redo
) -> PredictionOutput:
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
    proofs = [prove(spec, staging, plan, page, redo) for page in plan.pages]
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

    Raises: what `publish_all` raises.
    """
    done = finished_output(staging)
    if done is not None:
        return Settled(done.to_wire(), done=True)
    pages = chain_pages(spec, staging, plan, proofs, redo)
    tally = Tally()
    node_seconds = 0.0
    stats: Counter[str] = Counter()
    for proof, _ in pages:
        tally += proof.tally
        node_seconds += proof.node_seconds
        add_stats(stats, proof.stats.items())
    try:
        check(parse_budget(spec.max_errors), tally, None)
    except BudgetSpent:
        # Only now is it worth a request to see where the first of them is.
        check(parse_budget(spec.max_errors), tally, _example(staging, pages, stats))
    found = occupancy(staging.output_path)
    refuse_others(staging, found, overwrite=overwrite)
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


def _example(staging: Staging, pages: Sequence[tuple[Proof, int]], stats: Counter[str]) -> str | None:
    """The first error of a job with its place; without a place if its part is gone."""
    try:
        for proof, _ in pages:
            for part in proven_parts(staging, proof.page) if proof.error_files else ():
                if part.errors is not None:
                    return first_error(staging, part.errors, part.sources)
    except (OSError, StagingDamaged):
        pass
    return next(iter(stats), None)


def _orders(pages: Sequence[tuple[Proof, int]], error_files: int) -> Iterator[PublishOrder]:
    first_error = 0
    for proof, records in pages:
        yield PublishOrder(proof.page, proof.begin.path, records, first_error, error_files)
        first_error += proof.error_files


def publish_page(spec: PredictionSpec, staging: Staging, plan: Plan, order: PublishOrder) -> None:
    """Give the parts of one page their names.

    Raises:
      OutputRefused: the folder cannot be written.
      StagingDamaged: a part is gone, or has another size than its manifest says.
    """
    try:
        with writing(staging.output_path):
            _publish_page(spec, staging, plan, order)
    except OutputRefused as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        # Two publish at once, and the other has finished and cleaned up.
        if finished_output(staging) is None:
            text = f"A committed part is gone ({error.__cause__}); run the job again."
            raise StagingDamaged(text) from error


def _publish_page(spec: PredictionSpec, staging: Staging, plan: Plan, order: PublishOrder) -> None:
    results: list[tuple[PartFile, str]] = []
    errors: list[ErrorPart] = []
    for number, part in zip(plan.page(order.page), proven_parts(staging, order.page), strict=True):
        results.append((part.results, results_name(number, plan.splits, spec.output)))
        if part.errors is not None:
            name = errors_name(order.first_error + len(errors), order.error_files)
            errors.append(ErrorPart(part.errors, name, _sources(part, order)))
    moved = _check_parts(staging, results, errors)
    # Those were moved by a publish before this one, perhaps of a version that did not sync them first.
    storage.sync(*(storage.join(staging.output_path, name) for name in moved))
    each(staging.output_path, lambda move: _move(staging, *move), [one for one in results if one[1] not in moved])
    sizes = {name: part.bytes for part, name in results}
    sizes |= publish_errors(staging, errors, numbered=spec.input.numbered_lines)
    storage.sync_folders(staging.output_path)
    store_sizes(staging, order.page, sizes)


def _check_parts(
    staging: Staging, results: Sequence[tuple[PartFile, str]], errors: Sequence[ErrorPart]
) -> set[str]:
    """See that every part is whole; gives the names of those results that have been moved already.

    They were when they were proven. But no size is written down as published that is not the file's own.

    Raises:
      FileNotFoundError: a part is gone.
      StagingDamaged: a part has another size than its manifest says.
    """
    parts = [part for part, _ in results] + [one.part for one in errors]
    there = reading(staging.output_path, storage.sizes_of, staging.parts, [part.name for part in parts])
    for part in parts:
        size = there.get(part.name, part.bytes)
        if size != part.bytes:
            raise StagingDamaged(
                f"The part {staging.part(part.name)} has {size} bytes instead of {part.bytes}; run the job again."
            )
    for one in errors:
        if one.part.name not in there:
            raise FileNotFoundError(errno.ENOENT, "No such file", staging.part(one.part.name))
    moved = {name: part for part, name in results if part.name not in there}
    sizes = reading(staging.output_path, storage.sizes_of, staging.output_path, list(moved))
    for name, part in moved.items():
        if sizes.get(name) != part.bytes:
            raise FileNotFoundError(errno.ENOENT, "No such file", staging.part(part.name))
    return set(moved)


def _sources(part: ProvenPart, order: PublishOrder) -> list[tuple[str, int]]:
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
    with writing(staging.output_path):
        small = {STATS: _stats(settled.stats)}
        if not settled.error_files:
            small[errors_name(0, 1)] = b""
        if spec.output.header:
            small[CSV_HEADER] = csv_lines([settled.columns])
        for name, data in small.items():
            storage.replace_bytes(storage.join(staging.output_path, name), data)
        if settled.found:
            _delete_stale(spec, staging, plan, settled, small)
        store_output(staging, output, {name: len(data) for name, data in small.items()}, len(plan.pages))
        refuse_others(staging, occupancy(staging.output_path), overwrite=False)
        # The files are on stable storage; now their names, and those of every folder that had to be made.
        storage.sync_folders(staging.output_path, staging.root)
        _mark_success(staging)
    with contextlib.suppress(OSError):
        # The job has succeeded; what is left here are parts of attempts that came too late.
        storage.delete(staging.parts, recursive=True)
    return output


def _mark_success(staging: Staging) -> None:
    try:
        storage.replace_bytes(storage.join(staging.output_path, SUCCESS), b"")
    except OSError:
        # A store may have done it although its answer was lost, and a job whose mark can be seen has succeeded.
        if finished_output(staging) is None:
            raise


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


def _move(staging: Staging, part: PartFile, name: str) -> None:
    """Give a part its published name; a publish at the same time may have done it already."""
    source, target = staging.part(part.name), storage.join(staging.output_path, name)
    try:
        storage.move(source, target)
    except FileNotFoundError:
        there = reading(staging.output_path, storage.sizes_of, staging.output_path, [name])
        if there.get(name) != part.bytes:
            raise


def _stats(stats: dict[str, int]) -> bytes:
    """A line for each message as the service wrote it, the repr of a pair; the count is of instances."""
    pairs = sorted(stats.items(), key=lambda pair: (-pair[1], pair[0]))
    return "".join(f"{pair!r}\n" for pair in pairs).encode("utf-8", "backslashreplace")
