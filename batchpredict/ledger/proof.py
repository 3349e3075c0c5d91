"""Proofs: what a page of splits comes to, once it is certain that they are committed, whole, and fit end to end.

A job may have a million splits, so nobody reads all manifests: each page is proven by itself, in parallel with the
others, from where its own first split says that it began. What is left to say when all are proven is whether
the pages fit each other.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, TypeAlias

import orjson

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.formats import Split
from batchpredict.ledger.budget import Tally
from batchpredict.ledger.chain import Chain, End, Link, Misfit, Redo, guessed, segment_of
from batchpredict.ledger.manifest import PartFile
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.published import owner_of
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


def prove(staging: Staging, plan: Plan, page: int, redo: Redo, *, begin: End | None = None) -> Proof:
    """Prove a page of splits, and write down its proven parts.

    Args:
      staging: the job's staging folder.
      plan: the job's plan.
      page: number of the page.
      redo: has a split scored; called where its part is gone and, if `begin` is known, where it does not fit.
      begin: where the page must begin; None where that is not known.

    Raises:
      StagingDamaged: a split is not committed, or what is committed does not fit.
    """
    begin = End() if page == 0 else begin
    _check_committed(staging, plan.page(page))
    for _ in range(_REPAIRS):
        try:
            with tempfile.SpooledTemporaryFile(_SPOOLED) as spool:
                proof, parts = _follow(staging, plan, page, begin, redo, spool)
                lost = _lost(staging, parts)
                if not lost:
                    spool.seek(0)
                    storage.replace_bytes(staging.proven_parts(page), spool.read())
                    return proof
        except Misfit:
            return Proof(page, End(), None)
        for key in lost:
            manifest = staging.read(*key)
            staging.forget(manifest)
            redo(Split(manifest.split, tuple(map(segment_of, manifest.segments))), manifest.forced_start)
    raise StagingDamaged(f"The part of split {lost[0][0]} is gone whenever it is scored; run the job with --fresh.")


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
    """What `prove` wrote down, in the order of the splits."""
    return map(ProvenPart.from_json, storage.read_bytes(staging.proven_parts(page)).splitlines())


def _check_committed(staging: Staging, numbers: range) -> None:
    committed = staging.committed_among(numbers)
    if len(committed) < len(numbers):
        missing = set(numbers).difference(committed)
        raise StagingDamaged(
            f"{len(missing)} of splits {numbers[0]} to {numbers[-1]} are not committed, the first is "
            f"{min(missing)}; run the job again."
        )


def _lost(staging: Staging, parts: _Parts) -> list[_Key]:
    """Splits whose part is gone or cut short.

    That happens when a manifest was created although its creator was told that it was not, when staging was
    cleared while an attempt was under way, or when somebody touched the files.
    """
    if owner_of(staging.output_path) == staging.fingerprint:
        # Parts have begun to move to their names.
        return []
    there = storage.sizes_of(staging.parts, [file.name for _, files in parts for file in files])
    return [key for key, files in parts if any(there.get(file.name) != file.bytes for file in files)]


def add_stats(stats: Counter[str], pairs: Iterable[tuple[str, int]]) -> None:
    """Add counts by message to others, under a bound for how many messages there may be."""
    for message, count in pairs:
        known = message in stats or len(stats) < _STATS_LIMIT
        stats[message if known else "other errors"] += count


def chain_pages(staging: Staging, plan: Plan, proofs: Sequence[Proof], redo: Redo) -> list[tuple[Proof, int]]:
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
            proof = prove(staging, plan, proof.page, redo, begin=end)
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
