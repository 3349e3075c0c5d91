"""`batchpredict serve` as whoever starts it sees it: what it says, how it ends, and what it refuses."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request

import pytest
import support
from served import serving
from support import run_cli

from batchpredict.cli import main

pytest.importorskip("fastapi", reason="pip install 'batchpredict[serve]'")

ANN, BOB = "user:ann@example.org", "user:bob@example.org"


def ended(*arguments: str, cwd: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit status of a service that does not come to listen, and all it said."""
    found = run_cli("serve", *arguments, cwd=cwd, env=env)
    assert found.stdout == ""
    return found.returncode, found.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_stops_when_it_is_told_to(number, tmp_path):
    with serving(str(tmp_path)) as served:
        database = tmp_path / "batchpredict-service" / "batchpredict.db"
        assert served.said == f"batchpredict serve: listening on {served.endpoint}, database {database}\n"
        assert urllib.request.urlopen(f"{served.endpoint}/readyz").status == 200
        served.process.send_signal(number)
        assert served.process.wait(60) == 0
        assert oct((tmp_path / "batchpredict-service").stat().st_mode & 0o777) == "0o700"
    stopped = "batchpredict serve: stopped; jobs that were running go on when it is started again\n"
    assert served.said.endswith(stopped)


def test_a_worker_has_no_port(tmp_path):
    process = subprocess.Popen(
        support.command("serve", "--role=worker"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith("batchpredict serve: a worker waits for jobs, database /")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert ended(f"--port={port}", cwd=tmp_path) == (
            2,
            f"batchpredict serve: --host 127.0.0.1 --port {port}: cannot listen there: Address already in use\n",
        )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/x", r"batchpredict serve: .*127\.0\.0\.1.*\n"),
        ("/proc/nowhere/x.db", r"batchpredict serve: .*/proc/nowhere/x\.db.*\n"),
    ],
)
@pytest.mark.long
def test_a_database_that_cannot_be_opened_is_one_sentence(url, said, tmp_path):
    status, found = ended("--port=0", f"--database={url}", cwd=tmp_path)
    assert status == 1
    assert re.fullmatch(said, found), found
    assert "secret" not in found


def test_a_database_of_another_program_is_one_sentence(tmp_path):
    support.write(tmp_path / "x.db", "This is no database.")
    status, found = ended("--port=0", "--database=x.db", cwd=tmp_path)
    assert (status, len(found.splitlines())) == (1, 1)
    assert found.startswith("batchpredict serve: ")


WRONG = {
    "port": (["--port=x"], {}, "--port is a whole number from 0 to 65535, not 'x'"),
    "port of the environment": ([], {"BATCHPREDICT_PORT": "70000"}, "BATCHPREDICT_PORT is a whole number"),
    "role": (["--role=boss"], {}, "--role is one of all, api, worker, not 'boss'"),
    "others without tokens": (["--host=0.0.0.0"], {}, "--host is '0.0.0.0', which others can reach: "),
    "no such file": (["--config=nowhere.toml"], {}, "--config: there is no file 'nowhere.toml'"),
    "no TOML": (["--config=bad.toml"], {}, "--config: 'bad.toml' is no TOML: "),
    "unknown key": (
        ["--config=odd.toml"],
        {},
        "odd.toml: [server] prot: there is no such key; did you mean 'port'?",
    ),
    "unknown flag": (["--databse=1"], {}, "there is no flag '--databse'; did you mean '--database'?"),
    "no such root": (["--root=nowhere"], {}, "nowhere"),
    "no such runner": (["--runner=FlinkRuner"], {}, "--runner: there is no runner 'FlinkRuner'; did you mean 'Fl"),
    "no such user": (["--user=nobody_of_that_name"], {}, "there is no user 'nobody_of_that_name'"),
    "certificate": (["--tls-certificate=odd.toml"], {}, "--tls-key is needed with --tls-certificate"),
    "no certificate": (["--tls-certificate=odd.toml", "--tls-key=odd.toml"], {}, "--tls-certificate, --tls-key: "),
    "token of nobody": (["--new-token=ann"], {}, "--new-token: 'ann': a member is one of user:…"),
    "token of a group": (["--new-token=group:x@example.org"], {}, "--new-token: 'group:x@example.org': "),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_cannot_be_used_is_one_sentence(name, tmp_path):
    support.write(tmp_path / "bad.toml", "[server")
    support.write(tmp_path / "odd.toml", "[server]\nprot = 1\n")
    arguments, environment, said = WRONG[name]
    port = [] if any("port" in part.lower() for part in [*arguments, *environment]) else ["--port=0"]
    status, found = ended(*arguments, *port, cwd=tmp_path, env=environment)
    assert status == 2, found
    assert said in found
    assert "Traceback" not in found
    assert len([line for line in found.splitlines() if not line.startswith("See ")]) == 1


def test_settings_are_checked_without_serving(tmp_path):
    assert ended("--check", cwd=tmp_path) == (0, "batchpredict serve: the settings are right\n")
    assert os.listdir(tmp_path) == []
    for flag, said in (
        ("--root=nowhere", "--root: there is no folder 'nowhere'"),
        ("--runner=Nobodys", "--runner: there is no runner 'Nobodys'"),
    ):
        assert ended("--check", flag, cwd=tmp_path) == (2, f"batchpredict serve: {said}\n")


def test_a_database_is_made_without_serving(tmp_path):
    status, found = ended("--migrate", "--database=x.db", cwd=tmp_path)
    assert (status, found) == (0, "batchpredict serve: the database has the schema of this version\n")
    with sqlite3.connect(tmp_path / "x.db") as database:
        assert database.execute("select count(*) from jobs").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "sqlalchemy", "jinja2", "prometheus_client"])
def test_a_package_that_is_not_there_is_named_with_the_one_that_brings_it(package, tmp_path):
    code = f"import sys; sys.modules['{package}'] = None; from batchpredict.cli import main; sys.exit(main())"
    found = subprocess.run(
        [sys.executable, "-c", code, "serve", "--port=0", f"--token={ANN}={'0' * 64}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (
        1,
        f"batchpredict serve: the package '{package}' is missing; pip install 'batchpredict[serve]'\n",
    )


def test_tokens_say_who_calls(tmp_path, monkeypatch, capsys):
    tokens, flags = {}, []
    for member in (ANN, BOB):
        text = run_cli("serve", f"--new-token={member}").stdout
        tokens[member] = re.findall(r"bp_\S+", text)[0]
        flags.append(f"--token={member}={re.findall(r'sha256 = .([0-9a-f]+).', text)[0]}")
    with serving(str(tmp_path), *flags, f"--admin={ANN}") as served:
        monkeypatch.setenv("BATCHPREDICT_ENDPOINT", served.endpoint)
        monkeypatch.delenv("BATCHPREDICT_TOKEN", raising=False)

        def said(token: str | None, *command: str) -> tuple[int, str]:
            if token is not None:
                (tmp_path / "token").write_text(token)
                command = (*command, f"--access-token-file={tmp_path}/token")
            status = main(list(command))
            return status, "".join(capsys.readouterr())

        unknown = "batchpredict jobs list: The token is not known here.\n"
        assert said("bp_wrong", "jobs", "list") == (1, unknown)
        status, text = said(None, "jobs", "list")
        assert (status, text.count("\n")) == (1, 1)
        assert "set BATCHPREDICT_TOKEN, or give --access-token-file" in text
        assert said(tokens[ANN], "jobs", "list") == (0, "Listed 0 items.\n")
        status, text = said(tokens[BOB], "jobs", "list")
        assert (status, text.count("\n")) == (1, 1)
        assert "ml.jobs.list" in text
        grant = ("projects", "add-iam-policy-binding", "default", f"--member={BOB}", "--role=roles/ml.viewer")
        assert said(tokens[ANN], *grant)[0] == 0
        # The other one's permissions may be remembered for 2 seconds.
        support.wait_until(lambda: said(tokens[BOB], "jobs", "list") == (0, "Listed 0 items.\n"), 30)
        status, text = said(tokens[BOB], "models", "create", "m")
        assert (status, text.count("\n")) == (1, 1)
        assert "ml.models.create" in text
