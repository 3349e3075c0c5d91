"""Running a job over the errors of another one, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import support

from batchpredict import storage
from batchpredict.formats import Split
from batchpredict.job import Job, PredictionOutput
from batchpredict.prediction.prepare import Prepared, prepare
from batchpredict.prediction.request import Request
from batchpredict.rescoring import FinishedJob, complete
from batchpredict.scoring.task import Task

REFUSES_NEGATIVE = support.model("refuses_negative")


def request(former: str, output: str, *, merge: bool = False, **fields: Any) -> Request:
    """What a user asks for who names a finished job, a folder, and some fields of predictionInput."""
    document = {"jobId": "again", "predictionInput": {"outputPath": str(output), **fields}}
    job = Job.submitted(complete(document, FinishedJob.at(str(former))))
    found = Request.of(job)
    return replace(found, spec=replace(found.spec, only_errors_of=storage.absolute(str(former)), merge=merge))


def prepared(former: str, output: str, **wishes: Any) -> Prepared:
    return prepare(request(former, output, **wishes))


def again(
    former: str,
    output: str,
    *,
    merge: bool = False,
    order: Callable[[list[Split]], Iterable[Split]] = list,
    **fields: Any,
) -> PredictionOutput:
    """Score what failed in a finished job: plan, score each split in `order`, publish."""
    ready = prepared(former, output, merge=merge, **fields)
    if ready.done is not None:
        return ready.done
    predict = support.predictor_of(ready)
    for split in order(list(support.todo(ready))):
        predict(Task(split))
    return support.publish_prepared(ready, predict)
