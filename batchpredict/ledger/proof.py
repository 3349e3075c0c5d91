"""Proofs: what a page of splits comes to, once it is certain that they are committed, whole, and fit end to end.

A job may have a million splits, so nobody reads all manifests: each page is proven by itself, in parallel with the
others, from where its own first split says that it began. What is left to say when all are proven is whether
the pages fit each other.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, TypeAlias

import orjson

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger.access import reading, spooling, writing
from batchpredict.ledger.budget import Tally
from batchpredict.ledger.chain import Chain, End, Link, Misfit, Redo, guessed
from batchpredict.ledger.finished import finished_output
from batchpredict.ledger.manifest import PartFile
from batchpredict.ledger.plan import Plan, read_page
from batchpredict.ledger.published import owner_of, results_name
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging

# Distinct messages in the statistics of a job.
_STATS_LIMIT = 10_000
# Rounds of scoring splits again whose parts are gone.
_REPAIRS = 3
# Bytes of a page's proven parts that stay in memory while it is proven.
_SPOOLED = 1024 * 1024


@dataclass(frozen=True)
class ProvenPart:
    """A split's part, and where its records stand.

    Attributes:
      results, errors: the part's files.
      sources: for each of its segments the input file, and how many records of it lie before the segment; empty
        without errors, which alone say where they stand.
    """

    results: PartFile
    errors: PartFile | None
    sources: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, link: Link) -> ProvenPart:
        manifest = link.manifest
        # Only errors say where they stand.
        paths = [report.path for report in manifest.segments] if manifest.errors else []
        return cls(manifest.results, manifest.errors, tuple(zip(paths, link.bases, strict=False)))

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, line: bytes) -> ProvenPart:
        fields = orjson.loads(line)
        errors = fields["errors"]
        return cls(
            PartFile(**fields["results"]),
            None if errors is None else PartFile(**errors),
            tuple((path, base) for path, base in fields["sources"]),
        )


@dataclass(frozen=True)
class Proof:
    """What one page of splits comes to. Its proven parts are in the staging folder.

    Attributes:
      page: its number.
      begin: where its first split begins; for every page but the first that is what the split says itself.
      end: where its last split ends; None if its splits do not fit, seen from `begin`.
      error_files: splits of it that have errors.
      columns: names of the fields of a result.
      stats: instances by error message.
    """

    page: int
    begin: End
    end: End | None
    tally: Tally = field(default_factory=Tally)
    node_seconds: float = 0.0
    error_files: int = 0
    columns: tuple[str, ...] = ()
    stats: dict[str, int] = field(default_factory=dict)


def prove(
    spec: PredictionSpec, staging: Staging, plan: Plan, page: int, redo: Redo, *, begin: End | None = None
) -> Proof:
    """Prove a page of splits, and write down its proven parts.

    Args:
      spec: the job.
      staging: its staging folder.
      plan: its plan.
      page: number of the page.
      redo: has a split scored; called where its part is gone and, if `begin` is known, where it does not fit.
      begin: where the page must begin; None where that is not known.

    Raises:
      OutputRefused: the output folder cannot be read or written.
      StagingDamaged: a split is not committed, or what is committed does not fit.
    """
    begin = End() if page == 0 else begin
    _check_committed(staging, plan.page(page))
    for _ in range(_REPAIRS):
        try:
            with spooling(), tempfile.SpooledTemporaryFile(_SPOOLED) as spool:
                proof, parts = _follow(staging, plan, page, begin, redo, spool)
                waiting, lost = _look_for_parts(spec, staging, plan, page, parts)
                if not lost:
                    spool.seek(0)
                    _write_down(staging, page, waiting, spool.read())
                    return proof
        except Misfit:
            return Proof(page, End(), None)
        numbers = {number for number, _ in lost}
        planned = {split.index: split for split in read_page(staging, plan, page) if split.index in numbers}
        for number, start in lost:
            staging.forget(staging.read(number, start))
            redo(planned[number], start)
    raise StagingDamaged(f"The part of split {lost[0][0]} is gone whenever it is scored; run the job with --fresh.")


def _write_down(staging: Staging, page: int, waiting: Sequence[str], lines: bytes) -> None:
    """Write down a page's proven parts, once they are on stable storage: see `_look_for_parts` for why."""
    with writing(staging.output_path):
        # Attempts do not wait for that: then every split would, and here the disk does many at a time.
        _sync_parts(staging, waiting)
        storage.replace_bytes(staging.proven_parts(page), lines)


def _sync_parts(staging: Staging, names: Sequence[str]) -> None:
    try:
        storage.sync(*map(staging.part, names))
    except FileNotFoundError:
        # Another publish of this job moves them at this moment; those that it has moved it has synced.
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                storage.sync(staging.part(name))


_Key: TypeAlias = tuple[int, int | None]
_Parts: TypeAlias = list[tuple[_Key, tuple[PartFile, ...]]]


def _follow(
    staging: Staging, plan: Plan, page: int, begin: End | None, redo: Redo, spool: IO[bytes]
) -> tuple[Proof, _Parts]:
    """Follow the splits of a page through their files; their proven parts go to the spool."""
    manifests = staging.read_all((number, None) for number in plan.page(page))
    first = next(manifests)
    start = guessed(first) if begin is None else begin
    chain = Chain(staging, start, None if begin is None else redo)
    tally = Tally()
    node_seconds = 0.0
    columns: tuple[str, ...] = ()
    stats: Counter[str] = Counter()
    parts: _Parts = []
    for link in map(chain.follow, itertools.chain([first], manifests)):
        manifest = link.manifest
        spool.write(ProvenPart.of(link).to_json())
        tally += Tally.of(manifest)
        node_seconds += manifest.node_seconds
        columns = manifest.columns
        add_stats(stats, manifest.error_stats)
        files = (manifest.results, *([manifest.errors] if manifest.errors else []))
        parts.append(((manifest.split, manifest.forced_start), files))
    error_files = sum(len(files) > 1 for _, files in parts)
    return Proof(page, start, chain.end, tally, node_seconds, error_files, columns, stats), parts


def proven_parts(staging: Staging, page: int) -> Iterator[ProvenPart]:
    """What `prove` wrote down, in the order of the splits.

    Raises:
      OutputRefused: it cannot be read.
      StagingDamaged: it is gone, or is no list of parts.
    """
    url = staging.proven_parts(page)
    try:
        for line in reading(staging.output_path, storage.read_bytes, url).splitlines():
            yield ProvenPart.from_json(line)
    except FileNotFoundError as error:
        raise StagingDamaged(f"{url} is gone; run the job again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StagingDamaged(f"{url} cannot be read ({error}); run the job again.") from error


def _check_committed(staging: Staging, numbers: range) -> None:
    committed = staging.committed_among(numbers)
    if len(committed) < len(numbers):
        missing = set(numbers).difference(committed)
        raise StagingDamaged(
            f"{len(missing)} of splits {numbers[0]} to {numbers[-1]} are not committed, the first is "
            f"{min(missing)}; run the job again."
        )


def _look_for_parts(
    spec: PredictionSpec, staging: Staging, plan: Plan, page: int, parts: _Parts
) -> tuple[list[str], list[_Key]]:
    """Files of parts that wait to be published, and the splits whose part is gone or cut short.

    Parts are lost when a manifest was created although its creator was told that it was not, when staging was
    cleared while an attempt was under way, when somebody touched the files, or when the power failed: attempts do
    not wait until their parts are on stable storage.
    """
    names = [file.name for _, files in parts for file in files]
    there = reading(staging.output_path, storage.sizes_of, staging.parts, names)
    lost = [(key, files) for key, files in parts if any(there.get(file.name) != file.bytes for file in files)]
    if lost and owner_of(staging.output_path) == staging.fingerprint:
        # A publish has begun, so results may have moved to their names.
        if finished_output(staging) is not None:
            return [], []
        moved = _moved(
            spec, staging, plan, page, [(key, files[0]) for key, files in lost if files[0].name not in there]
        )
        lost = [
            (key, files)
            for key, files in lost
            if key not in moved or any(there.get(file.name) != file.bytes for file in files[1:])
        ]
    return list(there), [key for key, _ in lost]


def _moved(
    spec: PredictionSpec, staging: Staging, plan: Plan, page: int, missing: Sequence[tuple[_Key, PartFile]]
) -> set[_Key]:
    """Those of some splits whose results are no longer in staging because they have been published.

    A file of the right name and size is not enough: it may be what an earlier run of the job had published before
    all was scored again. Only parts that were proven are ever moved, and what is written down as proven was on
    stable storage before, so it is here or there and whole.
    """
    try:
        proven = {part.results.name for part in proven_parts(staging, page)}
    except StagingDamaged:
        return set()
    names = {key: results_name(key[0], plan.splits, spec.output) for key, _ in missing}
    sizes = reading(staging.output_path, storage.sizes_of, staging.output_path, list(names.values()))
    return {key for key, file in missing if file.name in proven and sizes.get(names[key]) == file.bytes}


def add_stats(stats: Counter[str], pairs: Iterable[tuple[str, int]]) -> None:
    """Add counts by message to others, under a bound for how many messages there may be."""
    for message, count in pairs:
        known = message in stats or len(stats) < _STATS_LIMIT
        stats[message if known else "other errors"] += count


def chain_pages(
    spec: PredictionSpec, staging: Staging, plan: Plan, proofs: Sequence[Proof], redo: Redo
) -> list[tuple[Proof, int]]:
    """The pages of a job, each with the records that lie before it in the file in which it begins.

    A page that did not begin where the one before it ends is proven again.

    Args:
      proofs: of all pages, in their order.

    Raises:
      StagingDamaged: what is committed does not fit.
    """
    chained = []
    end = End()
    for proof in proofs:
        fits = not proof.begin.path or (proof.begin.path, proof.begin.border) == (end.path, end.border)
        if proof.end is None or not fits:
            proof = prove(spec, staging, plan, proof.page, redo, begin=end)
            # It has begun with the true number of records.
            records = 0
        elif not proof.begin.path:
            end.check()
            records = 0
        else:
            records = end.records
        chained.append((proof, records))
        assert proof.end is not None
        within = proof.end.path == proof.begin.path and proof.begin.path != ""
        end = proof.end
        if within and records:
            end = End(end.path, end.border, end.records + records, end.size)
    end.check()
    return chained
