"""A job whose results are published, as its output folder has it: what it was, and what came of each split."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import NoInput, OutputRefused, StagingDamaged
from batchpredict.formats import Split
from batchpredict.job import PredictionOutput
from batchpredict.ledger import (
    Chain,
    End,
    Link,
    Manifest,
    Plan,
    PredictionSpec,
    Staging,
    finished_output,
    load_plan,
    load_spec,
    owner_of,
    proven_parts,
)

_ERRORS = re.compile(r"prediction\.errors-\d+-of-(\d+)")
_MANIFEST = re.compile(r"\d{8,}\.json")
# The first shards tell: a folder of a million need not be listed.
_FIRST_RESULTS = "prediction.results-00000"
_FIRST_ERRORS = "prediction.errors-00000"


@contextlib.contextmanager
def reading_job() -> Iterator[None]:
    """Steps that read what a finished job has left.

    Raises:
      NoInput: they have found that it cannot be read, or is not whole.
    """
    try:
        yield
    except (OutputRefused, StagingDamaged) as error:
        raise NoInput(f"onlyErrorsOf: {str(error).removeprefix('outputPath: ')}") from error


@dataclass(frozen=True)
class FinishedJob:
    """A finished job.

    Attributes:
      path: URL of its output folder.
      staging: its staging folder.
      output: what it came to.
      spec: what was asked for; None of a version that did not keep it.
      plan: None of a version that kept it in another way; its manifests say the same.
      splits: how many splits it has.
      error_files: how many files of named errors there are.
    """

    path: str
    staging: Staging
    output: PredictionOutput
    spec: PredictionSpec | None
    plan: Plan | None
    splits: int
    error_files: int

    @classmethod
    def at(cls, path: str) -> FinishedJob:
        """The job whose results stand in an output folder.

        Raises:
          NoInput: there is none, it is not finished, or what it left cannot be read.
        """
        with reading_job():
            try:
                storage.check(path)
                return cls._read(path)
            except (ValueError, ImportError, OSError) as error:
                raise NoInput(f"onlyErrorsOf: '{path}' cannot be used: {error}") from error

    @classmethod
    def _read(cls, path: str) -> FinishedJob:
        owner = owner_of(path)
        if owner is None:
            missing = "there is no folder" if not storage.exists(path) else "no job has published results in"
            raise NoInput(f"onlyErrorsOf: {missing} '{path}'.")
        staging = Staging(path, owner)
        output = finished_output(staging)
        if output is None:
            raise NoInput(f"onlyErrorsOf: the job in '{path}' is not finished; run it to its end first.")
        plan = load_plan(staging) if storage.exists(staging.plan) else None
        if plan is not None:
            splits = plan.splits
        else:
            splits = sum(bool(_MANIFEST.fullmatch(name)) for name in storage.list_names(staging.manifests))
        return cls(path, staging, output, load_spec(staging), plan, splits, _error_files(path, output))

    def output_format(self) -> str:
        """The format of its results: JSON, CSV or PARQUET."""
        if self.spec is not None:
            return self.spec.output_format
        name = next(iter(storage.files_in(self.path, _FIRST_RESULTS)), "")
        return {"csv": "CSV", "parquet": "PARQUET"}.get(name.rpartition(".")[2], "JSON")

    def links(self) -> Iterator[Link]:
        """All of its splits in their order, each with its place in its file.

        Raises:
          StagingDamaged: what is committed does not fit.
        """
        chain = Chain(self.staging, End(), _refuse)
        return map(chain.follow, self.staging.read_all((number, None) for number in range(self.splits)))

    def failed(self) -> Iterator[Manifest]:
        """Manifests of the splits that have errors, in their order.

        They tell what was read. Where a split was read again from another byte, they are those of before.

        Raises:
          StagingDamaged: something is gone.
        """
        if self.plan is None:
            yield from (link.manifest for link in self.links() if link.manifest.errors)
        else:
            yield from self.staging.read_all((number, None) for number in self._failed(self.plan))

    def _failed(self, plan: Plan) -> Iterator[int]:
        for page in plan.pages:
            parts = proven_parts(self.staging, page)
            yield from (number for number, part in zip(plan.page(page), parts, strict=True) if part.errors)


def _error_files(path: str, output: PredictionOutput) -> int:
    if not output.error_count:
        return 0
    first = next(iter(storage.files_in(path, _FIRST_ERRORS)), "")
    match = _ERRORS.fullmatch(first)
    if match is None:
        raise StagingDamaged(f"'{path}' has no prediction.errors-*.")
    return int(match[1])


def _refuse(split: Split, start: int | None) -> None:
    raise StagingDamaged(f"Split {split.index} was never read from byte {start}, where it must begin.")
