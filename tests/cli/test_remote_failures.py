"""What the client of the service does when answers are late, lost, strange or refusals."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest
import support
from scripted_server import Answer, Asked, in_turn, recording, refusal

from batchpredict.cli import main
from batchpredict.cli.remote import connection, creating, logs, watch

SUBMIT = [
    "jobs", "submit", "prediction", "census", "--model-dir=/m", "--input-paths=/in/*", "--output-path=/out",
    "--data-format=TEXT", "--region=us-central1",
]  # fmt: skip
CREATED = {"jobId": "census", "state": "QUEUED"}
TAKEN = refusal(409, "ALREADY_EXISTS", "Field: job.job_id Error: A job with this id already exists.")


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    """Nobody's settings, and no waiting between tries."""
    for name in ("ENDPOINT", "PROJECT", "TOKEN"):
        monkeypatch.delenv(f"BATCHPREDICT_{name}", raising=False)
    monkeypatch.delenv("CLOUDSDK_CORE_PROJECT", raising=False)
    for module in (connection, creating, watch, logs):
        monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


class Jobs:
    """A service that creates a job and loses its first answers."""

    def __init__(self, lost: int, before: Mapping[str, Any] | None = None, gateway: bool = False) -> None:
        self.lost = lost
        self.job = before
        self.gateway = gateway
        self.created = 0

    def __call__(self, asked: Asked) -> Answer:
        if asked.line.startswith("GET"):
            return Answer(self.job)
        taken = self.job is not None
        if not taken:
            self.job = {**asked.body, "state": "QUEUED"}
            self.created += 1
        if self.lost:
            self.lost -= 1
            return Answer(b"<html>", 504) if self.gateway else Answer(cut=0)
        return TAKEN if taken else Answer(self.job)


@pytest.mark.parametrize("gateway", [False, True])
def test_a_create_whose_answer_is_lost_takes_effect_once_and_is_found_again(gateway, capsys):
    service = Jobs(lost=2, gateway=gateway)
    with recording(service) as server:
        assert main([*SUBMIT, f"--endpoint={server.endpoint}"]) == 0
    assert service.created == 1
    assert [line.split("?")[0] for line in server.lines] == [
        *(["POST /v1/projects/default/jobs"] * 3),
        "GET /v1/projects/default/jobs/census",
    ]
    found = capsys.readouterr()
    assert json.loads(found.out)["state"] == "QUEUED"
    assert "census was submitted" in found.err


def test_an_id_of_another_job_is_refused_also_when_an_answer_was_lost(capsys):
    before = {"jobId": "census", "predictionInput": {"uri": "/other"}, "state": "RUNNING"}
    with recording(Jobs(lost=1, before=before)) as server:
        assert main([*SUBMIT, f"--endpoint={server.endpoint}"]) == 1
    assert capsys.readouterr().err == (
        "batchpredict jobs submit prediction: a job 'census' exists already (it is another job, RUNNING), and an "
        "id is used once; 'batchpredict jobs describe census' shows it\n"
    )


def test_the_same_job_again_is_refused_too_and_told_apart(capsys):
    with recording(service := Jobs(lost=0)) as server:
        assert main([*SUBMIT, f"--endpoint={server.endpoint}"]) == 0
        capsys.readouterr()
        assert main([*SUBMIT, f"--endpoint={server.endpoint}"]) == 1
    assert service.created == 1
    assert "exists already (it is the same job, QUEUED)" in capsys.readouterr().err


def test_a_create_that_is_never_answered_says_that_nobody_knows(capsys):
    with recording(lambda asked: Answer(cut=0)) as server:
        assert main([*SUBMIT, f"--endpoint={server.endpoint}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "whether the job was created is not known: submit it again, under the same id" in line
    assert len(server.lines) == 5


def test_what_changes_nothing_is_asked_again(capsys):
    with recording(in_turn(Answer(b"busy", 503), Answer(cut=0), Answer({"jobs": [CREATED]}))) as server:
        assert main(["jobs", "list", f"--endpoint={server.endpoint}"]) == 0
    assert capsys.readouterr().out.splitlines() == ["JOB_ID  STATUS  CREATED", "census  QUEUED"]
    assert len(server.lines) == 3


@pytest.mark.parametrize(
    "command", [["jobs", "cancel", "census"], ["models", "create", "m"], ["watches", "delete", "m"]]
)
def test_what_changes_something_is_sent_once(command, capsys):
    with recording(lambda asked: Answer(b"busy", 503)) as server:
        assert main([*command, f"--endpoint={server.endpoint}"]) == 1
    assert len(server.lines) == 1
    assert "answers with status 503" in capsys.readouterr().err


def test_nobody_there_is_one_sentence_with_the_address(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert main(["jobs", "list", f"--endpoint={endpoint}"]) == 1
    assert capsys.readouterr().err == f"batchpredict jobs list: {endpoint} does not answer: Connection refused\n"


@pytest.mark.parametrize(
    "answer", [Answer(b"<html>hello</html>"), Answer(b"<html>no</html>", 404), Answer(b"[]"), Answer({}, 302)]
)
def test_somebody_else_there_is_one_sentence_too(answer, capsys):
    with recording(lambda asked: answer) as server:
        assert main(["jobs", "list", f"--endpoint={server.endpoint}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"batchpredict jobs list: {server.endpoint} answers, but not as the jobs service: ")


def test_a_token_is_sent_and_not_taken_to_where_a_redirect_leads(tmp_path, capsys, monkeypatch):
    (tmp_path / "token").write_text("bp_secret\n")
    with (
        recording(lambda asked: Answer({})) as thief,
        recording(
            lambda asked: Answer({}, 307, headers={"Location": f"{thief.endpoint}/v1/projects/default/jobs"})
        ) as server,
    ):
        assert main(["jobs", "list", f"--endpoint={server.endpoint}", f"--access-token-file={tmp_path}/token"]) == 1
        monkeypatch.setenv("BATCHPREDICT_TOKEN", "bp_other")
        assert main(["jobs", "list", f"--endpoint={server.endpoint}"]) == 1
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer bp_secret", "Bearer bp_other"]
    assert thief.asked == []


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(capsys, monkeypatch):
    with recording(lambda asked: Answer({})) as proxy, recording(lambda asked: Answer({})) as server:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        assert main(["jobs", "list", f"--endpoint={server.endpoint}"]) == 0
        assert main(["jobs", "list", "--endpoint=http://service.invalid"]) == 0
    assert len(server.asked) == 1
    assert [asked.line.split("?")[0] for asked in proxy.asked] == [
        "GET http://service.invalid/v1/projects/default/jobs"
    ]


def test_a_call_that_is_not_known_says_that_no_token_was_sent(capsys):
    with recording(lambda asked: refusal(401, "UNAUTHENTICATED", "Request had no credentials.")) as server:
        assert main(["jobs", "describe", "j", f"--endpoint={server.endpoint}"]) == 1
    assert capsys.readouterr().err == (
        "batchpredict jobs describe: Request had no credentials. (no token was sent: set BATCHPREDICT_TOKEN, or "
        "give --access-token-file)\n"
    )


def test_what_the_service_finds_wrong_is_said_of_the_flag(capsys):
    answer = refusal(
        400, "INVALID_ARGUMENT", "two", **{"prediction_input.batch_size": "Too small.", "job.labels": "Not these."}
    )
    with recording(lambda asked: answer) as server:
        assert main([*SUBMIT, "--batch-size=0", f"--endpoint={server.endpoint}"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "batchpredict jobs submit prediction: --batch-size: Too small.",
        "batchpredict jobs submit prediction: --labels: Not these.",
    ]


def test_a_filter_that_is_not_valid_is_said_of_its_flag(capsys):
    answer = refusal(400, "INVALID_ARGUMENT", "one", filter="The filter is not valid at character 1.")
    with recording(lambda asked: answer) as server:
        assert main(["jobs", "list", "--filter=(", f"--endpoint={server.endpoint}"]) == 2
    assert capsys.readouterr().err == "batchpredict jobs list: --filter: The filter is not valid at character 1.\n"


def test_a_job_without_a_model_is_told_of_both_flags(capsys):
    without = [part for part in SUBMIT if not part.startswith("--model-dir")]
    answer = refusal(400, "INVALID_ARGUMENT", "one", prediction_input="Exactly one of these is required.")
    with recording(lambda asked: answer) as server:
        assert main([*without, f"--endpoint={server.endpoint}"]) == 2
    said = "batchpredict jobs submit prediction: --model or --model-dir: a job needs a model.\n"
    assert capsys.readouterr().err == said


LINES = [
    {
        "number": 1,
        "timestamp": "2017-12-13T01:21:04.250Z",
        "severity": "INFO",
        "task": "service",
        "message": "begins",
    },
    {
        "number": 2,
        "timestamp": "2017-12-13T01:21:05Z",
        "severity": "ERROR",
        "task": "worker",
        "message": "one\ntwo\x1b[2J",
    },
    {"number": 4, "timestamp": "2017-12-13T01:21:06Z", "severity": "INFO", "task": "service", "message": "ends"},
]


class Log:
    """A service whose log breaks off after every line."""

    def __init__(self) -> None:
        self.ended = False

    def __call__(self, asked: Asked) -> Answer:
        path, _, query = asked.line.partition("?")
        if not path.endswith(":logs"):
            return Answer({"jobId": "j", "state": "SUCCEEDED" if self.ended else "RUNNING"})
        after = int(query.rpartition("after=")[2])
        left = [line for line in LINES if int(str(line["number"])) > after]
        self.ended = len(left) <= 1
        text = "".join(json.dumps(line) + "\n" for line in left[:1])
        # More is promised than comes.
        return Answer(f'\n{text}{{"number"'.encode(), cut=len(text) + 4)


def test_a_log_that_breaks_off_goes_on_where_it_was(capsys):
    with recording(Log()) as server:
        assert main(["jobs", "stream-logs", "j", f"--endpoint={server.endpoint}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "INFO\t2017-12-13 01:21:04 +0000\tservice\t\tbegins",
        "ERROR\t2017-12-13 01:21:05 +0000\tworker\t\tone",
        "ERROR\t2017-12-13 01:21:05 +0000\tworker\t\ttwo�[2J",
        "INFO\t2017-12-13 01:21:06 +0000\tservice\t\tends",
    ]


def test_the_log_of_a_queued_job_says_what_it_waits_for(capsys):
    queued, ended = {"jobId": "j", "state": "QUEUED", "jobPosition": "7"}, {"jobId": "j", "state": "SUCCEEDED"}
    for flags, said in (
        ((), "j is QUEUED, at place 7 of its queue; its log begins when a worker has it\n"),
        (("--quiet",), ""),
    ):
        with recording(in_turn(*map(Answer, (queued, {}, queued, {}, ended, {})))) as server:
            assert main(["jobs", "stream-logs", "j", f"--endpoint={server.endpoint}", *flags]) == 0
        assert capsys.readouterr().err == said


def test_a_log_as_json_of_one_task_and_with_messages_in_one_piece(capsys):
    with recording(Log()) as server:
        where = f"--endpoint={server.endpoint}"
        assert main(["jobs", "stream-logs", "j", where, "--format=json", "--task-name=worker"]) == 0
        assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [LINES[1]]
    with recording(Log()) as server:
        where = f"--endpoint={server.endpoint}"
        assert main(["jobs", "stream-logs", "j", where, "--allow-multiline-logs", "--task-name=worker"]) == 0
        assert capsys.readouterr().out == "ERROR\t2017-12-13 01:21:05 +0000\tworker\t\tone\ntwo�[2J\n"


def test_who_waits_for_a_job_outlasts_a_service_that_is_away_for_a_while(capsys):
    job = {"jobId": "j", "state": "RUNNING", "predictionOutput": {"predictionCount": "5"}}
    away = [Answer(b"", 503)] * 12
    ended = {**job, "state": "SUCCEEDED"}
    with recording(in_turn(Answer(job), *away, Answer(job), Answer(cut=0), Answer(ended))) as server:
        assert main(["jobs", "wait", "j", f"--endpoint={server.endpoint}"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out) == {"predictionCount": "5"}
    assert found.err.count("trying again") == 1


@pytest.mark.parametrize(
    ("state", "said"),
    [("FAILED", "the job failed: No model.\n"), ("CANCELLED", "the job was cancelled: No model.\n")],
)
def test_a_job_that_ends_badly_says_why(state, said, capsys):
    with recording(lambda asked: Answer({"jobId": "j", "state": state, "errorMessage": "No\nmodel."})) as server:
        assert main(["jobs", "wait", "j", f"--endpoint={server.endpoint}"]) == 1
    assert capsys.readouterr() == ("", f"batchpredict jobs wait: {said}")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["jobs", "list", "--endpoint=ftp://x"], "--endpoint: 'ftp://x' is not of the form http://127.0.0.1:8080"),
        (
            ["jobs", "list", "--endpoint=http://x:99999"],
            "--endpoint: 'http://x:99999' has no port between 0 and 65535",
        ),
        (["jobs", "list", "--project=a/b"], "--project: 'a/b' is not the id of a project"),
        (["jobs", "list", "--access-token-file=nowhere"], "'nowhere' cannot be read: No such file or directory"),
        (["jobs", "describe", "1st"], "JOB: '1st': A name should start with a letter and contain only letters"),
        (["jobs", "describe", "projects/p/models/m"], "JOB: 'projects/p/models/m'"),
        ([*SUBMIT, "--model=m"], "--model-dir: not with --model: a job has one model"),
        ([*SUBMIT, "--version=v"], "--version: needs --model"),
        (["jobs", "update", "j"], "there is nothing to update"),
        (["jobs", "update", "j", "--update-labels=a"], "--update-labels: 'a' is not of the form KEY=VALUE"),
        (["jobs", "update", "j", "--clear-labels", "--remove-labels=a"], "not allowed with argument"),
        (["jobs", "set-iam-policy", "j", "nowhere"], "POLICY_FILE: 'nowhere' cannot be read: No such file"),
        (["versions", "describe", "v"], "the following arguments are required: --model"),
        (["models", "describe", "a-b"], "MODEL: 'a-b': A name should start"),
        (["operations", "wait", "a/b"], "OPERATION: 'a/b'"),
        (["jobs", "stream-logs", "j", "--polling-interval=0"], "--polling-interval: '0' is no number of seconds"),
        (["jobs", "list", "--limit=0"], "--limit: '0' is no number above 0"),
        (["jobs", "submit"], None),
    ],
)
def test_a_wrong_call_is_one_sentence(command, said, capsys):
    # In the cases where nothing is wrong before the service is asked, nobody is there.
    found = support.run_here(capsys, *command)
    if said is None:
        assert (found.returncode, found.stderr) == (0, "")
        assert "prediction" in found.stdout
        return
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
