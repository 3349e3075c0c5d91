"""The pipeline as a runner elsewhere runs it: it plans by itself and reports through the output folder."""

from __future__ import annotations

import json
from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from batchpredict import storage
from batchpredict.errors import InvalidJob, JobFailed, NoInput
from batchpredict.prediction.request import PLAN, Placement, Request
from batchpredict.prediction.steps import MakePlan
from batchpredict.prediction.transforms import BatchPredict
from batchpredict.runners import Channel

DOUBLE = support.model("double")


@pytest.fixture
def source(tmp_path) -> str:
    rows = [str(number) for number in range(40)]
    rows[11] = rows[32] = "bad"
    return support.write(tmp_path / "in.json", rows)


def channel(out: str, name: str) -> Channel:
    return Channel(f"{out}/_batchpredict/submissions/{name}")


def fingerprint(out: str, name: str) -> str | None:
    """Of the plan that a pipeline says it works on."""
    document = channel(out, name).told(PLAN)
    return None if document is None else document["fingerprint"]


def placed(document: support.Document, name: str) -> Placement:
    return Placement(channel=channel(document["predictionInput"]["outputPath"], name).url, elsewhere=True)


def run(document: support.Document, name: str = "one", **options: Any) -> None:
    request = Request(support.spec_of(document), **options)
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | BatchPredict(request, placement=placed(document, name))
    pipeline.run().wait_until_finish()


@pytest.mark.usefixtures("pages")
def test_a_pipeline_that_plans_by_itself_writes_what_any_other_does(source, tmp_path, out):
    document = support.job(DOUBLE, source, out, splitBytes=20)
    run(document)
    plan, _ = support.planned(document)
    assert fingerprint(out, "one") == plan.fingerprint
    assert channel(out, "one").failure() is None
    other = str(tmp_path / "other")
    support.score_in_process(support.job(DOUBLE, source, other, splitBytes=20))
    assert support.published(out) == support.published(other)

    # The same job again finds it done, and touches nothing.
    before = support.manifests(document)
    run(document, "two")
    assert fingerprint(out, "two") == plan.fingerprint
    assert support.manifests(document) == before


def test_a_failure_is_told_in_its_own_words(tmp_path, out):
    with pytest.raises(Exception, match="matches no file"):
        run(support.job(DOUBLE, str(tmp_path / "no*"), out))
    failure = channel(out, "one").failure()
    assert isinstance(failure, NoInput)
    assert str(failure) == f"inputPaths: '{tmp_path}/no*' matches no file"


def test_a_failure_of_a_worker_is_told_too(source, out):
    document = support.job(DOUBLE, source, out, instanceConfig={"keyField": "y"})
    with pytest.raises(Exception, match="also an output of the model"):
        run(document)
    failure = channel(out, "one").failure()
    assert isinstance(failure, InvalidJob)
    assert failure.violations
    assert support.names(out) == []


def test_a_job_that_has_failed_is_not_tried_again_by_its_steps(source, out):
    channel(out, "one").fail(JobFailed("It was the budget."))
    document = support.job(DOUBLE, source, out)
    with pytest.raises(Exception, match="It was the budget"):
        run(document)
    assert support.manifests(document) == []


def planning(document: support.Document, name: str) -> Any:
    step = MakePlan(Request(support.spec_of(document), fresh=True), placed(document, name))
    step.setup()
    (planned,) = step.process("job")
    return json.loads(planned)


def test_a_plan_that_is_made_twice_forgets_once(source, out):
    document = support.job(DOUBLE, source, out, splitBytes=40)
    support.score_in_process(document)
    _, staging = support.planned(document)
    assert planning(document, "one") == [staging.fingerprint, None]
    assert support.manifests(document) == []
    # Scored since, by the steps that follow; then a runner repeats the plan.
    support.score_in_process(document)
    found, done = planning(document, "one")
    assert found == staging.fingerprint
    assert done["predictionCount"] == "38"
    # Another submission that asks for it forgets again.
    assert planning(document, "two") == [staging.fingerprint, None]


def test_a_channel_that_is_forgotten_leaves_nothing(out):
    one = channel(out, "one")
    one.tell(PLAN, {"fingerprint": "f00d"})
    one.fail(JobFailed("no"))
    one.fail(JobFailed("not again"))
    assert str(one.failure()) == "no"
    one.forget()
    assert (one.told(PLAN), one.failure()) == (None, None)
    assert storage.list_names(f"{out}/_batchpredict/submissions") == []
