"""The plan of a job over the records of a finished job that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from batchpredict import storage
from batchpredict.errors import NoInput, OutputRefused
from batchpredict.formats import Border, Segment, Selection, Split
from batchpredict.ledger import (
    Draft,
    PredictionSpec,
    begin_fingerprint,
    draft,
    refuse_own_output,
    refuse_unknown_places,
    spooling,
)
from batchpredict.rescoring.cutting import cut, records_of_split
from batchpredict.rescoring.finished_job import FinishedJob, reading_job
from batchpredict.rescoring.outline import Former, Outline, Part


def plan_errors(spec: PredictionSpec, model: str) -> Draft:
    """Find the records of `spec.only_errors_of` that failed, and cut them.

    Where the results are to be merged, each split is one of the finished job, with its results, whether or not any
    of its records failed. Else the records that failed are cut anew.

    Args:
      spec: the job.
      model: digest of the model's files.

    Raises:
      NoInput: there is no such finished job, its inputs have changed, or the two do not fit together.
      OutputRefused: the results would go where those of the finished job are, or where its inputs are.
      JobFailed: there is no room for temporary files.
    """
    refuse_unknown_places(spec)
    job = FinishedJob.at(spec.only_errors_of)
    _refuse_misfits(spec, job)
    refuse_own_output(spec)
    with reading_job(), spooling(), Outline(job, numbered=spec.input.numbered_lines) as outline:
        fingerprint = begin_fingerprint(spec, model)
        if spec.merge:
            outline.read_all()
            # Which results are kept is said by whose they are.
            fingerprint.update(job.staging.fingerprint.encode())
            splits: Iterator[Split] = map(_merged, outline.formers())
        else:
            outline.read_failed()
            records = records_of_split(outline.count, spec.batch_size)
            splits = cut(outline.formers(), outline.positions, spec.input, records)
        fingerprint.update(outline.digest.digest())
        return draft(
            fingerprint,
            _hashed(splits, fingerprint),
            files=outline.files,
            total=outline.bytes,
            split_bytes=spec.split_bytes or 0,
            model=model,
            positions=outline.take_positions(),
        )


def _hashed(splits: Iterator[Split], fingerprint: Any) -> Iterator[Split]:
    for split in splits:
        # Not where the kept results are, which is spelled in many ways.
        kept = None if split.kept is None else [split.kept.bytes, split.kept.rows]
        fingerprint.update(json.dumps([[asdict(segment) for segment in split.segments], kept]).encode())
        yield split


def _refuse_misfits(spec: PredictionSpec, job: FinishedJob) -> None:
    """Refuse what cannot be done with this finished job."""
    if storage.canonical(spec.output_path) == storage.canonical(job.path):
        raise OutputRefused(
            f"outputPath: '{spec.output_path}' is the folder whose errors are scored again; choose another one."
        )
    former = job.spec
    if former is not None and former.data_format != spec.data_format:
        raise NoInput(f"dataFormat: the records that failed are {former.data_format}, not {spec.data_format}.")
    if not spec.merge:
        return
    if spec.output_format != job.output_format():
        raise NoInput(
            f"outputDataFormat: results can be merged into those of '{job.path}' in their format, which is "
            f"{job.output_format()}, and not as {spec.output_format}."
        )
    if former is not None and former.only_errors_of and not former.merge:
        raise NoInput(
            f"onlyErrorsOf: '{job.path}' holds the results of records that had failed before, which are not whole; "
            f"merge into those of '{former.only_errors_of}', or merge without it."
        )


def _merged(former: Former) -> Split:
    """A split of the finished job as one of this job."""
    return Split(former.split, tuple(map(_segment, former.parts)), former.kept)


def _segment(part: Part) -> Segment:
    report = part.report
    border = Border(report.begin, report.next, report.records)
    selection = Selection(part.first, part.count, part.base, border)
    return Segment(
        report.path,
        report.start,
        report.end,
        report.size,
        report.exact,
        report.version,
        part.encoding,
        selection=selection,
    )
