"""From a request to a job that can run, and to its results without a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from batchpredict.formats import Split
from batchpredict.job import PredictionOutput
from batchpredict.ledger import (
    Plan,
    Redo,
    Staging,
    Tally,
    check,
    finished_output,
    make_plan,
    occupancy,
    parse_budget,
    publish_all,
    read_page,
    refuse_others,
    store_spec,
)
from batchpredict.models import model_digest
from batchpredict.prediction.pools import Lease
from batchpredict.prediction.request import Request
from batchpredict.rescoring import plan_errors
from batchpredict.scoring import Task


@dataclass(frozen=True)
class Prepared:
    """A job that can run: planned, and nothing known that speaks against it.

    Attributes:
      plan: stored in the staging folder, unless the job is done.
      done: its output, if it is finished already.
    """

    request: Request
    plan: Plan
    staging: Staging
    done: PredictionOutput | None


def left_of_page(staging: Staging, plan: Plan, page: int) -> Iterator[Split]:
    """The splits of a page that nobody has committed yet."""
    committed = set(staging.committed_among(plan.page(page)))
    if len(committed) < len(plan.page(page)):
        yield from (split for split in read_page(staging, plan, page) if split.index not in committed)


def prepare(request: Request) -> Prepared:
    """Plan a job and look for all that can be known to be wrong before anything is scored.

    Raises:
      JobFailed: no input, no model, or an output folder that cannot be used.
    """
    spec = request.spec
    make = plan_errors if spec.only_errors_of else make_plan
    with make(spec, model_digest(spec.model_uri)) as draft:
        staging = Staging(spec.output_path, draft.plan.fingerprint)
        refuse_others(staging, occupancy(spec.output_path), overwrite=request.overwrite)
        if request.fresh:
            staging.clear()
        done = finished_output(staging)
        if done is None:
            # Before the plan: whoever finds that job finished finds this.
            store_spec(staging, spec)
            return Prepared(request, draft.store(staging), staging, None)
    # The budget is no part of what makes a job this job, so it may be tighter than it was.
    check(parse_budget(spec.max_errors), Tally(done.prediction_count or 0, done.error_count or 0), None)
    return Prepared(request, draft.plan, staging, done)


def redo_in_pool(plan: Plan, staging: Staging, lease: Lease) -> Redo:
    """Has splits scored again by the job's pool in this process."""

    def redo(split: Split, start: int | None) -> None:
        lease.pool(plan, staging).submit(Task(split, forced_start=start)).result()

    return redo


def publish_job(prepared: Prepared, processes: int) -> PredictionOutput:
    """Publish a job whose splits are committed, reading again those whose guessed border was wrong."""
    request, plan, staging = prepared.request, prepared.plan, prepared.staging
    lease = Lease(request.spec, processes)
    try:
        redo = redo_in_pool(plan, staging, lease)
        return publish_all(request.spec, staging, plan, overwrite=request.overwrite, redo=redo)
    finally:
        lease.end()
