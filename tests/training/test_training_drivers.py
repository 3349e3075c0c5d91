"""What a driver shows of a job that runs elsewhere, and may be over before anything of it was seen."""

from __future__ import annotations

from pathlib import Path

import support
from recorder import Recorder

from batchpredict import storage
from batchpredict.job import Job, TrainingOutput
from batchpredict.runners import Channel
from batchpredict.training.driver import DriverElsewhere
from batchpredict.training.logs import LogWriter
from batchpredict.training.prepare import FINISHED_BEFORE, PLAN, prepare
from batchpredict.training.spec import TrainingSpec


def spec_of(tmp_path: Path) -> TrainingSpec:
    package = support.write(tmp_path / "p.tar.gz", "")
    source = {
        "scaleTier": "BASIC", "region": "r", "pythonModule": "t", "packageUris": [package],
        "jobDir": str(tmp_path / "out"),
    }  # fmt: skip
    return TrainingSpec.of(Job.submitted({"jobId": "j", "trainingInput": source}))


def log(folder: str, *lines: str) -> None:
    writer = LogWriter(folder)
    for line in lines:
        writer.add("master-replica-0", "", line)
    writer.close()


def test_the_log_of_a_job_that_is_over_when_it_is_seen_first_is_shown_and_that_of_earlier_runs_is_not(tmp_path):
    spec = spec_of(tmp_path)
    log(prepare(spec).folder.logs, "of an earlier run")
    channel, seen = Channel.in_memory(), Recorder()
    driver = DriverElsewhere(spec, channel, seen)
    assert driver.snapshot() is None

    # Where the pipeline runs.
    prepared = prepare(spec)
    channel.tell(PLAN, prepared.to_document())
    log(prepared.folder.logs, "step 1", "step 2")
    prepared.folder.finish({"output": TrainingOutput(consumed_ml_units=1.0).to_wire()})

    output = driver.output()
    assert output is not None
    assert output.consumed_ml_units == 1.0
    assert seen.messages == ["master-replica-0: step 1", "master-replica-0: step 2"]


def test_of_a_job_that_was_finished_before_only_that_is_said(tmp_path):
    spec = spec_of(tmp_path)
    prepared = prepare(spec)
    log(prepared.folder.logs, "of an earlier run")
    prepared.folder.finish({"output": TrainingOutput().to_wire()})
    channel, seen = Channel.in_memory(), Recorder()
    channel.tell(PLAN, prepare(spec).to_document())
    assert DriverElsewhere(spec, channel, seen).output() is not None
    assert seen.messages == [FINISHED_BEFORE]
    assert storage.sizes_in(prepared.folder.logs)
