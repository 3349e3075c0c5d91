"""The commands of the client against a service: what is sent, what is shown, what is said when it is refused."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import support
from scripted_server import Answer, recording
from served import Served, serving

from batchpredict.cli import main

pytest.importorskip("fastapi", reason="pip install 'batchpredict[serve]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """The folder of the service and of its users."""
    return str(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def service(folder) -> Iterator[Served]:
    with serving(folder, "--root=.", f"--root={support.TESTDATA}", "--workers=2") as served:
        yield served


@pytest.fixture
def call(service, folder, monkeypatch, capsys):
    """Run a command in the user's folder: its status, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BATCHPREDICT_ENDPOINT", service.endpoint)
    monkeypatch.delenv("BATCHPREDICT_TOKEN", raising=False)
    monkeypatch.delenv("CLOUDSDK_CORE_PROJECT", raising=False)
    # A project for each test, so that none sees the jobs of another.
    monkeypatch.setenv("BATCHPREDICT_PROJECT", f"p{random.getrandbits(40)}")

    def run(*arguments: str, status: int = 0) -> tuple[str, str]:
        try:
            found = main(list(arguments))
        except SystemExit as ended:
            found = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert found == status, f"{arguments}\n{out}\n{err}"
        return out, err

    return run


def prediction(job_id: str, output: str, *more: str) -> list[str]:
    return [
        "jobs", "submit", "prediction", job_id, f"--model-dir={support.model('double')}", "--input-paths=in.json",
        "--data-format=text", f"--output-path={output}", *more,
    ]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def rows(folder) -> None:
    support.write(os.path.join(folder, "in.json"), ['{"x": 1}', "bad", '{"x": 3}'])


def test_a_job_is_waited_for_as_predict_is(call, folder):
    out, err = call(*prediction("waited", "out/waited", "--wait", "--labels=team=blue,step=2"))
    output = json.loads(out)
    assert support.counts(output) == (2, 1)
    assert output["outputPath"] == os.path.join(folder, "out", "waited")
    assert support.results(output["outputPath"]) == [{"y": 2.0}, {"y": 6.0}]
    assert "waited was submitted\nwaited is QUEUED" in err
    job = json.loads(call("jobs", "describe", "waited")[0])
    # Paths that are relative to the user are absolute to the service; everything else is as the flags had it.
    assert job["predictionInput"] == {
        "uri": support.model("double"),
        "inputPaths": [os.path.join(folder, "in.json")],
        "dataFormat": "TEXT",
        "outputPath": os.path.join(folder, "out/waited"),
        "region": "local",
    }
    assert job["labels"] == {"team": "blue", "step": "2"}
    assert job["state"] == "SUCCEEDED"
    log = call("jobs", "stream-logs", "waited")[0]
    assert [line.split("\t")[0] for line in log.splitlines()] == ["INFO"] * len(log.splitlines())
    assert "Job waited is queued." in log
    assert log.splitlines()[-1].endswith("Job completed successfully.")
    # Waiting for what has ended is over at once, and says the same.
    assert json.loads(call("jobs", "wait", "waited")[0]) == job["predictionOutput"]


def test_the_log_is_streamed_while_the_job_runs(call):
    out, _ = call(*prediction("streamed", "out/streamed", "--stream-logs"))
    log, _, output = out.partition("\n{\n")
    assert support.counts(json.loads("{\n" + output)) == (2, 1)
    assert log.splitlines()[-1].endswith("Job completed successfully.")


def test_an_id_is_used_once(call):
    call(*prediction("once", "out/once"))
    _, err = call(*prediction("once", "out/once"), status=1)
    assert "a job 'once' exists already (it is the same job, " in err
    _, err = call(*prediction("once", "out/elsewhere"), status=1)
    assert "a job 'once' exists already (it is another job, " in err
    call("jobs", "cancel", "once")


def test_what_cannot_be_run_is_said_of_its_flag_and_not_created(call):
    _, err = call(*prediction("checked", "/elsewhere", "--batch-size=0", "--validate-only"), status=2)
    assert "jobs submit prediction: --batch-size: " in err
    _, err = call(*prediction("checked", "/elsewhere", "--validate-only"), status=2)
    assert 'jobs submit prediction: --output-path: "/elsewhere" is not below a folder' in err
    _, err = call(*prediction("checked", "out", "--model=none", "--model-dir="), status=2)
    wrong = [part for part in prediction("checked", "out", "--model=none") if not part.startswith("--model-dir")]
    _, err = call(*wrong, status=1)
    assert 'jobs submit prediction: --model: The model resource: "none" was not found' in err
    _, err = call(*prediction("checked", "out", "--validate-only"))
    assert err == "checked could be run; nothing was created\n"
    _, err = call("jobs", "describe", "checked", status=1)
    assert err == 'batchpredict jobs describe: The job resource: "checked" was not found.\n'


def test_a_job_file_with_flags_over_it(call, folder):
    document = support.job("nowhere", "in.json", "out/file", "TF_RECORD", batchSize=2)
    support.write_json(os.path.join(folder, "job.json"), document)
    out, _ = call(
        "jobs", "submit", "prediction", "filed", "--job=job.json", f"--model-dir={support.model('double')}",
        "--data-format=TEXT",
    )  # fmt: skip
    job = json.loads(out)
    assert job["jobId"] == "filed"
    assert job["predictionInput"] == {
        **document["predictionInput"],
        "uri": support.model("double"),
        "inputPaths": [os.path.join(folder, "in.json")],
        "outputPath": os.path.join(folder, "out/file"),
        "dataFormat": "TEXT",
    }
    call("jobs", "cancel", "filed")


def test_lists_come_in_pages_and_in_any_order(call, service):
    _, err = call("jobs", "list")
    assert err == "Listed 0 items.\n"
    assert call("jobs", "list", "--format=json")[0] == "[]\n"
    for name in ("b", "c", "a"):
        call(*prediction(name, f"out/{name}"), "--quiet")
        call("jobs", "cancel", name, "--quiet")

    def listed(*flags: str) -> list[str]:
        return [job["jobId"] for job in json.loads(call("jobs", "list", "--format=json", *flags)[0])]

    assert listed("--page-size=1") == ["a", "c", "b"]
    assert listed("--limit=2") == ["a", "c"]
    assert listed("--limit=2", "--page-size=1", "--sort-by=jobId") == ["a", "b"]
    assert listed("--sort-by=~jobId") == ["c", "b", "a"]
    assert listed("--sort-by=predictionInput.region,~createTime", "--limit=unlimited") == ["a", "c", "b"]
    assert listed("--filter=jobId:a* OR jobId=b") == ["a", "b"]
    project = os.environ["BATCHPREDICT_PROJECT"]
    assert call("jobs", "list", "--limit=1", "--uri")[0] == f"{service.endpoint}/v1/projects/{project}/jobs/a\n"
    head, row, *_ = call("jobs", "list")[0].splitlines()
    assert head.split() == ["JOB_ID", "STATUS", "CREATED"]
    assert row.split()[0] == "a"
    _, err = call("jobs", "list", "--filter=jobId:(", status=2)
    assert err.startswith("batchpredict jobs list: ")
    assert len(err.splitlines()) == 1


def test_labels_are_changed_one_by_one(call):
    call(*prediction("labelled", "out/labelled", "--labels=a=1,b=2"))
    labels = lambda *flags: json.loads(call("jobs", "update", "labelled", *flags)[0]).get("labels", {})  # noqa: E731
    assert labels("--update-labels=c=3,a=9") == {"a": "9", "b": "2", "c": "3"}
    assert labels("--remove-labels=a,nothing", "--update-labels=d=4") == {"b": "2", "c": "3", "d": "4"}
    assert labels("--clear-labels", "--update-labels=e=5") == {"e": "5"}
    assert labels("--clear-labels") == {}
    _, err = call("jobs", "update", "labelled", "--update-labels=A=1", status=2)
    assert "batchpredict jobs update: Field: job.labels Error: " in err
    call("jobs", "cancel", "labelled")


def test_who_may_do_what_is_changed_binding_by_binding(call, folder):
    call(*prediction("shared", "out/shared"))
    ann, viewer = "--member=user:ann@example.org", "--role=roles/ml.viewer"
    call("jobs", "add-iam-policy-binding", "shared", ann, viewer)
    call("jobs", "add-iam-policy-binding", "shared", "--member=user:bob@example.org", viewer)
    before = call("jobs", "get-iam-policy", "shared")[0]
    (binding,) = json.loads(before)["bindings"]
    assert binding == {"role": "roles/ml.viewer", "members": ["user:ann@example.org", "user:bob@example.org"]}
    call("jobs", "remove-iam-policy-binding", "shared", ann, viewer)
    assert "ann" not in call("jobs", "get-iam-policy", "shared")[0]
    _, err = call("jobs", "remove-iam-policy-binding", "shared", ann, viewer, status=2)
    assert "--member: 'user:ann@example.org' has not the role 'roles/ml.viewer' here" in err
    # The policy that was read first is not the one that would be replaced any more.
    support.write(os.path.join(folder, "policy.json"), before)
    _, err = call("jobs", "set-iam-policy", "shared", "policy.json", status=1)
    assert "concurrent policy changes" in err
    fresh = {**json.loads(before), "etag": json.loads(call("jobs", "get-iam-policy", "shared")[0])["etag"]}
    support.write_json(os.path.join(folder, "policy.json"), fresh)
    call("jobs", "set-iam-policy", "shared", "policy.json")
    assert "ann" in call("jobs", "get-iam-policy", "shared")[0]
    _, err = call("projects", "add-iam-policy-binding", "p", ann, "--role=roles/ml.vewer", status=2)
    assert "roles/ml.viewer" in err
    call("jobs", "cancel", "shared")


def test_the_life_of_a_model(call, folder):
    created = json.loads(call("models", "create", "doubling", "--labels=team=blue", "--description=Twice.")[0])
    assert created["name"].endswith("/models/doubling")
    assert (created["description"], created["labels"]) == ("Twice.", {"team": "blue"})
    os.symlink(support.model("double"), os.path.join(folder, "here"))
    _, err = call("versions", "create", "v1", "--model=doubling", f"--origin={support.model('double')}")
    assert err.splitlines()[-1].startswith("created projects/")
    operation = json.loads(
        call("versions", "create", "v2", "--model=doubling", "--origin=here", "--async", "--framework=tensorflow")[
            0
        ]
    )
    done = json.loads(call("operations", "wait", operation["name"])[0])
    assert done["name"].endswith("/versions/v2")
    assert json.loads(call("operations", "describe", operation["name"].rpartition("/")[2])[0])["done"] is True
    kinds = [row.split()[1] for row in call("operations", "list")[0].splitlines()[1:]]
    assert kinds.count("CREATE_VERSION") == 2
    table = call("versions", "list", "--model=doubling")[0].splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "v1", "v2"]
    assert table[1].split()[1:] == [support.model("double"), "READY"]
    assert call("models", "list")[0].splitlines()[1].split() == ["doubling", "v1"]
    call("versions", "set-default", "v2", "--model=doubling")
    updated = json.loads(call("versions", "update", "v1", "--model=doubling", "--update-labels=old=yes")[0])
    assert updated["labels"] == {"old": "yes"}
    assert json.loads(call("models", "update", "doubling", "--description=Two.")[0])["description"] == "Two."

    named = [part for part in prediction("by_name", "out/by_name") if not part.startswith("--model-dir")]
    out, _ = call(*named, "--model=doubling", "--version=v1", "--wait")
    assert support.counts(json.loads(out)) == (2, 1)
    source = json.loads(call("jobs", "describe", "by_name")[0])["predictionInput"]
    assert source["versionName"] == f"projects/{os.environ['BATCHPREDICT_PROJECT']}/models/doubling/versions/v1"

    _, err = call("versions", "delete", "v2", "--model=doubling", status=1)
    assert err.startswith("batchpredict versions delete: ")
    _, err = call("models", "delete", "doubling", status=1)
    call("versions", "delete", "v1", "--model=doubling")
    call("versions", "delete", "v2", "--model=doubling")
    call("models", "delete", "doubling")
    assert call("models", "list")[1] == "Listed 0 items.\n"


def test_a_version_that_is_no_model_fails_with_its_reason(call, folder):
    call("models", "create", "broken")
    os.mkdir(os.path.join(folder, "empty"))
    _, err = call("versions", "create", "v1", "--model=broken", "--origin=empty", status=2)
    assert "saved_model.pb" in err
    assert len(err.splitlines()) == 1


# Jobs that take their time ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_source(folder) -> str:
    """Rows for the slow model: minutes of work."""
    rng, row = random.Random(3), struct.Struct("<16f")
    packed = [row.pack(*(rng.uniform(-1, 1) for _ in range(16))) for _ in range(500)]
    path = os.path.join(folder, "rows.tfrecord")
    return support.write(path, b"".join(support.frame(_example(floats)) for floats in packed) * 400)


def _example(floats: bytes) -> bytes:
    """A tf.Example of one packed float feature `x`, as protocol buffers write it."""
    for tag in (b"\x0a", b"\x12"):
        floats = tag + bytes([len(floats)]) + floats
    entry = b"\x0a\x01x\x12" + bytes([len(floats)]) + floats
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


def long_job(job_id: str) -> list[str]:
    return [
        "jobs", "submit", "prediction", job_id, f"--model-dir={support.model('stateful_free_slow')}",
        "--input-paths=rows.tfrecord", "--data-format=tf-record", f"--output-path=out/{job_id}", "--batch-size=8",
    ]  # fmt: skip


def described(call: Any, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("jobs", "describe", job_id)[0])
    return found


@pytest.fixture
def begin(folder) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a command in the user's folder; it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def run(*arguments: str, cwd: str = folder) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                support.command(*arguments), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], part: str) -> list[str]:
    """What a command says on stderr, to the first line that has a part in it."""
    assert process.stderr is not None
    found = []
    for line in process.stderr:
        found.append(line)
        if part in line:
            return found
    raise AssertionError(f"'{part}' was not said:\n{''.join(found)}")


def test_on_a_terminal_the_progress_is_a_bar(call, folder, long_source):
    call(*long_job("shown"), "--quiet")
    ours, theirs = pty.openpty()
    waiting = subprocess.Popen(
        support.command("jobs", "wait", "shown"), cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while not re.search(rb"scoring.*\d+%.*\d records, 0 errors.*2 workers", shown):
            assert select.select([ours], [], [], 120)[0], shown
            shown += os.read(ours, 65536)
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 130
    finally:
        waiting.kill()
        waiting.wait()
        os.close(ours)
        call("jobs", "cancel", "shown")


def test_ctrl_c_ends_the_waiting_and_a_cancel_the_job(call, begin, long_source):
    waiting = begin(*long_job("long"), "--wait", "--json-logs")
    report = json.loads(lines_until(waiting, '"workers": 2')[-1])
    assert (report["message"], int(report["totalBytes"])) == ("progress", os.path.getsize(long_source))
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (130, "")
    assert err.splitlines()[-1] == (
        "batchpredict jobs submit prediction: stopped waiting; the job goes on. 'batchpredict jobs wait long' "
        "watches it, 'batchpredict jobs cancel long' ends it."
    )
    assert described(call, "long")["state"] == "RUNNING"

    waiting = begin("jobs", "wait", "long")
    call("jobs", "cancel", "long")
    _, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 1
    said = "batchpredict jobs wait: the job was cancelled: The job was cancelled by a request."
    assert err.splitlines()[-1] == said
    assert described(call, "long")["state"] == "CANCELLED"
    _, err = call("jobs", "cancel", "long", status=1)
    assert err.startswith("batchpredict jobs cancel: ")
    assert len(err.splitlines()) == 1


def test_who_waits_outlasts_a_service_that_is_killed_and_started_again(begin, tmp_path):
    folder, roots = str(tmp_path), ("--root=.", f"--root={support.TESTDATA}", "--lease=2")
    support.write(os.path.join(folder, "in.json"), ['{"x": 1}'] * 3)
    first = Served(folder, ("--port=0", *roots), {})
    try:
        where = f"--endpoint={first.endpoint}"
        waiting = begin(*prediction("patient", "out", "--wait"), where, cwd=folder)
        assert lines_until(waiting, "patient is ")[0] == "patient was submitted\n"
    finally:
        first.kill()
    with serving(folder, f"--port={first.endpoint.rpartition(':')[2]}", *roots):
        out, err = waiting.communicate(timeout=200)
    assert waiting.returncode == 0, err
    assert support.counts(json.loads(out)) == (3, 0)


def test_a_webhook_is_told_of_each_state(folder, tmp_path, monkeypatch, capsys):
    secret = support.write(tmp_path / "key", "0123456789abcdef")
    allowed = {"BATCHPREDICT_WEBHOOK_SECRET_FILE": secret, "BATCHPREDICT_WEBHOOK_PRIVATE": "127.0.0.0/8"}
    support.write(tmp_path / "in.json", ['{"x": 1}'])
    monkeypatch.chdir(tmp_path)
    roots = ("--root=.", f"--root={support.TESTDATA}")
    with (
        recording(lambda asked: Answer()) as receiver,
        serving(str(tmp_path), "--webhook-host=127.0.0.1", *roots, environment=allowed) as served,
    ):
        where = f"--endpoint={served.endpoint}"
        assert main([*prediction("told", "out", f"--webhook={receiver.endpoint}/hook", "--wait"), where]) == 0
        support.wait_until(lambda: len(receiver.asked) >= 3, what=f"three posts: {receiver.lines}, {served.said}")
        assert main([*prediction("untold", "out", "--webhook=http://elsewhere.example/"), where]) == 2
    said = 'jobs submit prediction: --webhook: Webhooks may not be sent to "elsewhere.example"'
    assert said in capsys.readouterr().err
    posts = sorted(receiver.asked, key=lambda asked: int(asked.headers["webhook-id"]))
    assert [asked.body["state"] for asked in posts] == ["PREPARING", "RUNNING", "SUCCEEDED"]
    assert {asked.line for asked in posts} == {"POST /hook"}
    assert posts[-1].body["predictionOutput"]["predictionCount"] == "1"
    assert all(asked.headers["webhook-signature"].startswith("v1,") for asked in posts)


def test_the_cold_start_of_a_list_is_short(call):
    code = (
        "import sys; from batchpredict.cli import main; status = main(['jobs', 'list']);"
        "heavy = [name for name in ('tensorflow', 'apache_beam', 'pydantic', 'numpy', 'httpx', 'rich', 'fsspec')"
        " if name in sys.modules]; sys.exit(status or (f'imported {heavy}' if heavy else 0))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "Listed 0 items.\n")
