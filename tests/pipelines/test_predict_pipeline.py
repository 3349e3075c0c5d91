"""The same engine as a Beam pipeline: the script, and the transform in a pipeline of a user's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest
import support

from batchpredict.runners import spelled
from batchpredict.workers import cores


def run_pipeline(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = os.path.join(support.ROOT, "pipelines", "predict.py")
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def job(tmp_path, out) -> str:
    source = support.write(tmp_path / "in.json", ["1", "bad", "3"])
    return support.write_json(tmp_path / "job.json", support.job(support.model("double"), source, out))


def test_the_script_runs_a_job_and_takes_flags_of_beam(job, out):
    found = run_pipeline(f"--job={job}", "--runner=DirectRunner", "--job_name=scores", "--direct_num_workers=1")
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (2, 1)
    assert support.results(out) == [{"y": 2.0}, {"y": 6.0}]
    assert support.names(out)[0] == "_SUCCESS"


def test_a_mistyped_flag_is_refused_before_anything_runs(job, out):
    found = run_pipeline(f"--job={job}", "--runner=DirectRunner", "--job_nam=scores")
    assert (found.returncode, found.stdout) == (2, "")
    assert "there is no flag '--job_nam', here or in Beam; did you mean '--job_name'?" in found.stderr
    assert not os.path.exists(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--job"),
        (["--job=nowhere.json"], "--job: there is no file 'nowhere.json'"),
        (["--job={labels}"], "labels.json"),
    ],
)
def test_a_wrong_call_of_the_script(arguments, message):
    found = run_pipeline(*(argument.format(labels=support.digits("labels.json")) for argument in arguments))
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_a_job_that_fails_says_so_in_one_line(tmp_path, out):
    job = support.write_json(tmp_path / "job.json", support.job(support.model("double"), "nowhere/*", out))
    found = run_pipeline(f"--job={job}")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "predict.py: the job failed: inputPaths: 'nowhere/*' matches no file\n"


def test_the_transform_in_a_pipeline_of_ones_own(tmp_path, out):
    import apache_beam as beam
    from apache_beam.metrics import MetricsFilter
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from batchpredict import BatchPredict, Job

    rows = [str(number) for number in range(100)]
    rows[10] = rows[60] = "bad"
    source = support.write(tmp_path / "in.json", rows)
    document = support.job(support.model("double"), source, out, splitBytes=70, batchSize=10)
    seen = str(tmp_path / "seen")

    pipeline = beam.Pipeline(runner=FnApiRunner())
    outputs = pipeline | BatchPredict(Job.parse(document))
    _ = outputs | beam.Map(json.dumps) | beam.io.WriteToText(seen, shard_name_template="")
    result = pipeline.run()
    result.wait_until_finish()

    assert not [child for child in psutil.Process().children() if support.is_worker(child)]
    with open(seen) as file:
        (wire,) = map(json.loads, file)
    assert support.counts(wire) == (98, 2)
    assert wire["outputPath"] == out
    assert [one["y"] for one in support.results(out)] == [2.0 * n for n in range(100) if n not in (10, 60)]

    found = result.metrics().query(MetricsFilter().with_namespace("batchpredict"))
    assert {one.key.metric.name: one.committed for one in found["counters"]} == {"records": 100, "errors": 2}
    distributions = {one.key.metric.name: one.committed for one in found["distributions"]}
    assert set(distributions) == {"batch_size", "model_load_milliseconds", "model_call_microseconds"}
    assert 1 <= distributions["batch_size"].max <= 10


@pytest.mark.flink
def test_the_transform_in_a_pipeline_of_ones_own_on_a_cluster(tmp_path, out, flink_cluster):
    """Its machines run as many TensorFlow processes as they have cores, and not that number for each of Beam's."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from batchpredict import BatchPredict, Job

    source = support.write(tmp_path / "in.json", [json.dumps({"x": [row + 0.5] * 16}) for row in range(600)])
    fields: dict[str, Any] = {"signatureName": "dense", "splitBytes": 4_000, "batchSize": 1}
    document = support.job(support.model("stateful_free_slow"), source, out, **fields)
    pipeline = beam.Pipeline(options=PipelineOptions([*spelled(flink_cluster.flags), "--parallelism=2"]))
    _ = pipeline | BatchPredict(Job.parse(document))
    result = pipeline.run()
    most = 0
    while not beam.runners.runner.PipelineState.is_terminal(result.state):
        # Of this cluster: others may work on this machine.
        started = [one for pool in flink_cluster.pools.values() for one in psutil.Process(pool.pid).children(True)]
        most = max(most, sum(map(support.is_worker, started)))
        time.sleep(0.2)
    assert len(support.lines(out)) == 600
    assert 0 < most <= max(2, cores()), most


def test_a_pipeline_that_failed_can_be_run_again_in_the_same_process(tmp_path, out, monkeypatch):
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from batchpredict import BatchPredict, Job

    source = support.write(tmp_path / "in.json", ["1"])
    document = support.job(support.model("double"), source, out)

    def run() -> None:
        pipeline = beam.Pipeline(runner=FnApiRunner())
        _ = pipeline | BatchPredict(Job.parse(document))
        pipeline.run().wait_until_finish()

    with monkeypatch.context() as patched:
        support.write(tmp_path / "fake" / "tensorflow.py", "raise ImportError('not today')")
        patched.setenv("PYTHONPATH", str(tmp_path / "fake"))
        with pytest.raises(Exception, match="ImportError: not today"):
            run()
    run()
    assert support.results(out) == [{"y": 2.0}]


def test_the_transform_fails_the_pipeline_with_the_reason(tmp_path, out):
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from batchpredict import BatchPredict, Job

    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | BatchPredict(Job.parse(support.job(support.model("double"), str(tmp_path / "no*"), out)))
    with pytest.raises(Exception, match=r"inputPaths: '.*no\*' matches no file"):
        pipeline.run().wait_until_finish()
