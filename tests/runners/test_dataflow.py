"""Jobs handed to Dataflow: what Beam's own client sends for them, to a stand-in of the service.

Staging and results are on a server of Google Cloud Storage's protocol. The stand-in runs what was staged, so a job
is also seen through to its end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import support
from clusters.dataflow import StandIn
from recorder import Recorder
from stores.gcs import Gcs

from batchpredict import storage
from batchpredict.errors import InvalidJob, RunnerFailed, WrongFlag
from batchpredict.job import Job
from batchpredict.prediction import PredictionWork
from batchpredict.runners import choose, run

pytestmark = [
    pytest.mark.dataflow,
    # Beam's client has no other way to end its polling than to die of it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

IMAGE = "europe-docker.pkg.dev/p/r/batchpredict:1"


@pytest.fixture
def service(gcs) -> Iterator[StandIn]:
    """The stand-in, and a store to stage on."""
    pytest.importorskip("google.cloud.dataflow_v1beta3", reason="pip install 'batchpredict[dataflow]'")
    service = StandIn()
    yield service
    service.close()


@pytest.fixture(scope="module")
def base(gcs_server) -> str:
    """A folder on the store with the model and the digits."""
    folder: str = gcs_server.folder()
    support.upload(support.DIGITS_MODEL, f"{folder}/model")
    support.upload(support.digits("text"), f"{folder}/in")
    return folder


def flags(service: StandIn, gcs: Gcs, *more: str) -> list[str]:
    return [
        "--project=my-project",
        f"--temp_location={gcs.bucket}/tmp",
        f"--sdk_container_image={IMAGE}",
        f"--dataflow_endpoint={service.endpoint}",
        "--no_auth",
        *more,
    ]


def document(base: str, name: str, **fields) -> support.Document:
    fields = {"region": "europe-west1", "splitBytes": 40_000, **fields}
    found = support.job(f"{base}/model", f"{base}/in/*", f"{base}/{name}", **fields)
    return {**found, "jobId": "My_Digits_7", "labels": {"team": "blue"}}


def work(job: support.Document, **wishes) -> PredictionWork:
    return PredictionWork.of(Job.submitted(job), **wishes)


def created(service: StandIn) -> support.Document:
    (job,) = service.jobs.values()
    return job


def graph(job: support.Document):
    """The pipeline that was staged for a job."""
    from apache_beam.portability.api import beam_runner_api_pb2

    url = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    return beam_runner_api_pb2.Pipeline.FromString(storage.read_bytes(url))


def hand_over(service: StandIn, gcs: Gcs, job: support.Document, *more: str) -> support.Document:
    """Dataflow's Job resource of a job; it is not run."""
    service.runs = False
    execution = choose("DataflowRunner", flags(service, gcs, *more)).submit(work(job), Recorder())
    support.wait_until(lambda: service.jobs or execution.ended(0.05), 60, "the job on the stand-in")
    execution.close()
    return created(service)


def test_the_job_that_is_created(service, gcs, base):
    hardware = {"workerType": "n1-standard-8", "accelerator": {"type": "NVIDIA_TESLA_T4", "count": "2"}}
    job = hand_over(service, gcs, document(base, "created", maxWorkerCount="7", **hardware))
    assert (job["projectId"], job["location"], job["type"]) == ("my-project", "europe-west1", 1)
    assert re.fullmatch("batchpredict-my-digits-7-[0-9a-f]{12}", job["name"])
    assert job["labels"] == {"batchpredict-job-id": "my_digits_7", "team": "blue"}
    environment = job["environment"]
    options = environment["sdkPipelineOptions"]["options"]
    assert environment["tempStoragePrefix"].startswith(
        f"storage.googleapis.com/{gcs.bucket.removeprefix('gs://')}/tmp/"
    )
    assert options["staging_location"].startswith(f"{gcs.bucket}/tmp/")
    assert "worker_accelerator=type:nvidia-tesla-t4;count:2;install-nvidia-driver" in environment["serviceOptions"]
    (pool,) = environment["workerPools"]
    # BASIC is what the interface calls scaling by throughput.
    assert pool["autoscalingSettings"] == {"algorithm": 2, "maxNumWorkers": 7}
    assert (pool["machineType"], pool["numThreadsPerWorker"]) == ("n1-standard-8", 1)
    assert pool["workerHarnessContainerImage"] == IMAGE


def test_without_a_wish_of_the_job_the_service_decides(service, gcs, base):
    job = hand_over(service, gcs, document(base, "plain"))
    (pool,) = job["environment"]["workerPools"]
    assert "machineType" not in pool
    assert "maxNumWorkers" not in pool["autoscalingSettings"]
    assert not any("accelerator" in option for option in job["environment"].get("serviceOptions", []))


def test_flags_of_the_user_win(service, gcs, base):
    job = document(base, "flags", maxWorkerCount="7", workerType="n1-standard-8")
    more = ["--region=us-east1", "--max_num_workers=3", "--machine_type=e2-standard-2", "--job_name=mine"]
    job = hand_over(service, gcs, job, *more, f"--staging_location={gcs.bucket}/staging")
    (pool,) = job["environment"]["workerPools"]
    assert (job["location"], job["name"], pool["machineType"]) == ("us-east1", "mine", "e2-standard-2")
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 3
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["staging_location"].startswith(f"{gcs.bucket}/staging/")


def test_the_graph_has_steps_for_splits_and_none_for_records(service, gcs, base):
    pipeline = graph(hand_over(service, gcs, document(base, "graph")))
    transforms = pipeline.components.transforms
    names = {transform.unique_name for transform in transforms.values()}
    steps = {name.partition("/")[2] for name in names if name.count("/") == 1}
    assert steps == {
        *("Job", "Plan", "Pages", "ReadPlan", "Distribute", "PredictSplit"),
        *("AllCommittedToo", "AllCommitted", "CommittedPages", "SpreadProofs", "Prove"),
        *("IsJob", "IsProof", "JobAndProofs", "AllProven", "Settle", "Orders", "SpreadOrders", "PublishPage"),
        *("AllPublishedToo", "AllPublished", "Finish"),
    }
    # The size of the graph and of its parts is that of a job, whatever its files: no path is in it but the job's.
    assert pipeline.ByteSize() < 300_000
    kinds = {transform.spec.urn for transform in transforms.values()}
    assert "beam:transform:read:v1" not in {kind for kind in kinds if "records" in kind}
    for shuffle in ("Distribute", "SpreadProofs", "SpreadOrders"):
        assert any(name.endswith(f"/{shuffle}/ReshufflePerKey/GroupByKey") for name in names), names


def test_from_submission_through_polling_to_the_end(service, gcs, base, tmp_path):
    job = document(base, "whole", maxWorkerCount="2")
    expected = support.job(
        support.DIGITS_MODEL, support.digits("text", "*"), str(tmp_path / "local"), splitBytes=40_000
    )
    support.score_in_process(expected)
    observer = Recorder()
    output = run(choose("DataflowRunner", flags(service, gcs)), work(job), observer)
    assert support.counts(output) == (support.ROWS, 0)
    assert support.published(f"{base}/whole") == support.published(str(tmp_path / "local"))
    (message,) = observer.messages
    id_ = created(service)["id"]
    assert message.endswith(f"https://console.cloud.google.com/dataflow/jobs/europe-west1/{id_}?project=my-project")
    assert observer.snapshots[-1].tally.records == support.ROWS
    path = "/v1b3/projects/my-project/locations/europe-west1/jobs"
    assert service.calls[:2] == [("GET", path), ("POST", path)]
    assert ("GET", f"{path}/{id_}") in service.calls
    assert ("GET", f"{path}/{id_}/messages") in service.calls
    assert all(method != "PUT" for method, _ in service.calls)


def test_a_job_that_fails_says_why(service, gcs, base):
    job = document(base, "fails", signatureName="nope")
    with pytest.raises(Exception, match="signature") as told:
        run(choose("DataflowRunner", flags(service, gcs)), work(job))
    assert "\n" not in str(told.value)


def test_what_dataflow_says_of_a_failure_is_one_line(service, gcs, base, monkeypatch):
    """The workers cannot even begin: they have another batchpredict, say."""
    monkeypatch.setattr("clusters.dataflow._WORKER", "raise ImportError('no module named batchpredict')")
    with pytest.raises(RunnerFailed) as told:
        run(choose("DataflowRunner", flags(service, gcs)), work(document(base, "broken")))
    log = re.search(r"is in (\S+\.log)", str(told.value))
    assert log is not None
    assert "ImportError: no module named batchpredict" in str(told.value)
    os.remove(log[1])


def test_ctrl_c_cancels_the_job(service, gcs, base, tmp_path):
    rows = (json.dumps({"x": [row % 7 + 0.5] * 16}) for row in range(3000))
    storage.replace_bytes(f"{base}/slow.json", "\n".join(rows).encode())
    model = support.upload(support.model("stateful_free_slow"), f"{base}/slow")
    fields: dict[str, Any] = {
        "signatureName": "dense",
        "splitBytes": 4000,
        "batchSize": 1,
        "region": "europe-west1",
    }
    job = support.job(model, f"{base}/slow.json", f"{base}/cancelled", **fields)
    command = support.command(
        *("predict", "--job", support.write_json(tmp_path / "job.json", job), "--runner", "DataflowRunner"),
        *flags(service, gcs),
    )
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    support.wait_until(lambda: process.poll() is not None or support.manifests(job), 90, "a split")
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert time.monotonic() - began < 30
    assert "the job on DataflowRunner in my-project is cancelled" in stderr
    assert created(service)["requestedState"] in ("JOB_STATE_CANCELLED", 5)
    kept = len(support.manifests(job))
    output = run(choose("DataflowRunner", flags(service, gcs)), work(job))
    assert support.counts(output) == (3000, 0)
    assert len(support.manifests(job)) > kept > 0


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((403, "Permission dataflow.jobs.list denied"), r"refuses \(403\): .*Permission dataflow.jobs.list denied"),
        ((404, "project not found"), r"refuses \(404\): .*project not found"),
        ((503, "overloaded"), r"refuses \(503\): .*overloaded"),
    ],
)
def test_a_refusal_is_told_at_once(service, gcs, base, refusal, words):
    service.refuse = refusal
    with pytest.raises(RunnerFailed, match=f"^--project: Dataflow in europe-west1, project my-project, {words}"):
        choose("DataflowRunner", flags(service, gcs)).submit(work(document(base, "refused")), Recorder())


def test_nobody_there(service, gcs, base):
    began = time.monotonic()
    runner = choose("DataflowRunner", [*flags(service, gcs), "--dataflow_endpoint=http://localhost:1"])
    with pytest.raises(
        RunnerFailed, match=r"^--project: Dataflow in europe-west1, project my-project, cannot be reached"
    ):
        runner.submit(work(document(base, "nobody")), Recorder())
    assert time.monotonic() - began < 30


def test_files_of_this_machine_are_refused_by_field(service, gcs, tmp_path):
    job = support.job(support.DIGITS_MODEL, support.digits("text", "*"), str(tmp_path), region="europe-west1")
    with pytest.raises(InvalidJob) as told:
        choose("DataflowRunner", flags(service, gcs)).submit(work(job), Recorder())
    fields = [violation.field for violation in told.value.violations]
    assert fields == [f"prediction_input.{name}" for name in ("uri", "input_paths", "output_path")]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--project", "--project: "),
        ("--temp_location", "--temp-location: "),
        ("--sdk_container_image", "--sdk-container-image: "),
    ],
)
def test_a_flag_that_is_missing_is_named(service, gcs, flag, words):
    given = [one for one in flags(service, gcs) if not one.startswith(flag)]
    with pytest.raises(WrongFlag, match=f"^{words}"):
        choose("DataflowRunner", given).check()


@pytest.mark.parametrize("url", ["/tmp/x", "gs://bucket", "gs://b/tmp", "s3://bucket/tmp"])
def test_a_folder_of_dataflow_s_own_is_on_a_bucket(service, gcs, url):
    with pytest.raises(WrongFlag, match=rf"^--temp-location: '{url}' is not of the form gs://BUCKET/PATH"):
        choose("DataflowRunner", [*flags(service, gcs), f"--temp_location={url}"]).check()


def test_without_credentials_one_sentence_says_how_to_get_some(service, gcs, base, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    given = [
        flag for flag in flags(service, gcs) if flag not in ("--no_auth", f"--dataflow_endpoint={service.endpoint}")
    ]
    expected = "--project: there are no credentials for Google Cloud; "
    with pytest.raises(RunnerFailed, match=f"^{expected}"):
        choose("DataflowRunner", given).submit(work(document(base, "anonymous")), Recorder())
    stored = run_script("template.py", *given, "--region=r", f"--template_location={base}/x")
    assert (stored.returncode, stored.stdout) == (1, "")
    (line,) = stored.stderr.splitlines()
    assert line.startswith(f"template.py: {expected}")


def test_the_region_may_not_be_missing(service, gcs, base):
    with pytest.raises(WrongFlag, match=r"^--region: "):
        choose("DataflowRunner", flags(service, gcs)).submit(
            work(document(base, "nowhere", region="local")), Recorder()
        )


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = os.path.join(support.ROOT, "pipelines", name)
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=120)


def finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


def test_a_classic_template_serves_any_job(service, gcs, base):
    location = f"{base}/templates/batchpredict"
    given = [*flags(service, gcs), "--region=europe-west1", f"--template_location={location}"]
    stored = run_script("template.py", *given)
    assert (stored.returncode, stored.stdout) == (0, f"{location}\n"), stored.stderr
    assert service.jobs == {}
    template = json.loads(storage.read_bytes(location))
    metadata = json.loads(storage.read_bytes(f"{location}_metadata"))
    assert [parameter["name"] for parameter in metadata["parameters"]] == ["job", "overwrite"]
    for name in ("first", "second"):
        job = document(base, name)
        storage.replace_bytes(f"{base}/{name}.json", json.dumps(job).encode())
        finish(service.launch(template, {"job": f"{base}/{name}.json"}))
        assert support.counts(support.outcome(f"{base}/{name}")) == (support.ROWS, 0)
        assert len(support.lines(f"{base}/{name}")) == support.ROWS


def test_a_flex_template_is_launched_as_its_launcher_does(service, gcs, base):
    """The launcher runs the script with a template's location of its own, and starts what it finds there."""
    job = document(base, "flex")
    storage.replace_bytes(f"{base}/flex.json", json.dumps(job).encode())
    location = f"{base}/flex/job_object"
    given = [*flags(service, gcs), "--runner=DataflowRunner", "--region=europe-west1"]
    stored = run_script(
        "predict.py", *given, f"--template_location={location}", f"--job={base}/flex.json", "--overwrite=false"
    )
    assert stored.returncode == 0, stored.stderr
    assert f"the template is at {location}; nothing was run" in stored.stderr
    finish(service.launch(json.loads(storage.read_bytes(location)), {}))
    assert len(support.lines(f"{base}/flex")) == support.ROWS


def test_what_a_flex_template_needs_fits_together():
    folder = os.path.join(support.ROOT, "pipelines", "dataflow")
    with open(os.path.join(folder, "metadata.json")) as file:
        parameters = [parameter["name"] for parameter in json.load(file)["parameters"]]
    helped = run_script("predict.py", "--help").stdout
    assert all(f"--{name}" in helped for name in parameters)
    with open(os.path.join(folder, "Dockerfile")) as file:
        dockerfile = file.read()
    entry = re.search(r"FLEX_TEMPLATE_PYTHON_PY_FILE=/template/(\S+)", dockerfile)
    assert entry is not None
    assert os.path.isfile(os.path.join(support.ROOT, entry[1]))
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all(os.path.exists(os.path.join(support.ROOT, name)) for name in source.split()), source
