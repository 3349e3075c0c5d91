"""Runners behind a job server: what is said when it is not there, is something else, or dies."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest
import support
from clusters import flink, prism
from clusters.processes import free_port

from batchpredict.runners.log_file import summary_line, told_by

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def job(tmp_path, out) -> str:
    source = support.write(tmp_path / "in.json", ["1", "2", "3"])
    return support.write_json(tmp_path / "job.json", support.job(support.model("double"), source, out))


def refused(job: str, *flags: str, status: int = 1, run: Run = support.run_cli) -> str:
    """What the command says, in one line and within 30 s. `run`: how it is called."""
    began = time.monotonic()
    found = run("predict", "--job", job, *flags)
    assert time.monotonic() - began < 30
    assert (found.returncode, found.stdout) == (status, ""), found.stderr
    (line,) = found.stderr.splitlines()
    return line


@pytest.fixture
def web_server() -> Iterator[int]:
    """The port of a server that speaks HTTP and nothing else."""

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Nothing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("runner", ["FlinkRunner", "PortableRunner", "PrismRunner"])
def test_nobody_listens_at_the_endpoint(job, runner, out):
    port = free_port()
    said = refused(job, f"--runner={runner}", "--job-endpoint", f"127.0.0.1:{port}")
    assert f"--job-endpoint: there is no job server at 127.0.0.1:{port}: Connection refused" in said
    assert not os.path.exists(out)


def test_no_host_has_that_name(job):
    said = refused(
        job, "--runner=PortableRunner", "--job-endpoint=no-such-host.invalid:80", "--environment-type=DOCKER"
    )
    assert "--job-endpoint: there is no job server at no-such-host.invalid:80" in said


def test_something_else_listens_at_the_endpoint(job, web_server):
    said = refused(job, "--runner=PortableRunner", f"--job-endpoint=127.0.0.1:{web_server}")
    assert f"what listens at 127.0.0.1:{web_server} does not answer as a job server of Beam does" in said


@pytest.mark.long
def test_what_takes_connections_and_says_nothing(job):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        said = refused(job, "--runner=PortableRunner", f"--job-endpoint=127.0.0.1:{port}")
    assert f"what listens at 127.0.0.1:{port} does not answer as a job server of Beam does" in said


@pytest.mark.parametrize("master", ["127.0.0.1:{}", "http://127.0.0.1:{}/"])
def test_no_flink_at_the_master(job, master):
    port = free_port()
    said = refused(job, "--runner=FlinkRunner", f"--flink-master={master.format(port)}")
    assert f"--flink-master: there is no Flink at 127.0.0.1:{port}: Connection refused" in said


def test_something_else_listens_at_the_master(job, web_server):
    said = refused(job, "--runner=FlinkRunner", f"--flink-master=127.0.0.1:{web_server}")
    assert f"what listens at 127.0.0.1:{web_server} does not answer as Flink's REST service does" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=PortableRunner"], "--job-endpoint: PortableRunner needs the host:port of a job server"),
        (["--runner=FlinkRunner"], "--flink-master: FlinkRunner needs the host:port of a Flink"),
        (["--runner=PrismRunner"], "--prism-location: PrismRunner needs the path of a Prism binary"),
        (["--runner=PrismRunner", "--prism-location=nowhere/prism"], "--prism-location: there is no file"),
        (["--runner=FlinkRunner", "--flink-master=flink"], "--flink-master: 'flink' is not of the form host:port"),
        (["--runner=FlinkRunner", "--job-endpoint=host:99999"], "--job-endpoint: 'host:99999' is not of the form"),
        (["--runner=FlinkRunner", "--job-endpoint=far.example:8099"], "--environment-type: say how workers start"),
        (
            ["--runner=FlinkRunner", "--flink-master=localhost:8081", "--flink-job-server-jar=no.jar"],
            "--flink-job-server-jar: there is no file 'no.jar'",
        ),
    ],
)
def test_a_flag_that_is_missing_or_wrong(job, flags, message, capsys):
    assert message in refused(job, *flags, status=2, run=functools.partial(support.run_here, capsys))


@pytest.mark.prism
def test_a_mistyped_flag_is_refused_by_a_runner_elsewhere(job, prism_server):
    flags = ["--runner=PrismRunner", f"--job-endpoint={prism_server.endpoint}"]
    assert "there is no flag '--environment_tipe'" in refused(job, *flags, "--environment-tipe=LOOPBACK", status=2)


@pytest.mark.flink
def test_flags_that_only_the_job_server_knows_are_taken(job, flink_cluster):
    said = refused(job, *flink_cluster.flags, "--object-reuze=true", status=2)
    assert "there is no flag '--object_reuze', here or in Beam; did you mean '--object_reuse'?" in said


@pytest.mark.prism
@pytest.mark.skipif(bool(prism.MISSING), reason=f"no Prism: {prism.MISSING}")
def test_prism_is_started_for_a_job_and_ends_with_it(job, out):
    found = support.run_cli("predict", "--job", job, "--runner=PrismRunner", f"--prism-location={prism.BINARY}")
    assert found.returncode == 0, found.stderr
    assert [one["y"] for one in support.results(out)] == [2.0, 4.0, 6.0]
    assert not [one for one in psutil.process_iter(["ppid", "exe"]) if one.info["exe"] == prism.BINARY and
                "--serve_http=false" in one.cmdline() and "--log_kind" in one.cmdline()]  # fmt: skip


@pytest.mark.flink
def test_the_job_server_is_started_for_a_job(job, out, tmp_path, flink_cluster):
    """Its workers are in the process that submits the job, as they are by default on one machine."""
    jar = flink.job_server_jar(str(tmp_path))
    flags = ["--runner=FlinkRunner", f"--flink-master={flink_cluster.master}", f"--flink-job-server-jar={jar}"]
    found = support.run_cli("predict", "--job", job, *flags)
    assert found.returncode == 0, found.stderr
    assert [one["y"] for one in support.results(out)] == [2.0, 4.0, 6.0]
    assert flink_cluster.running() == []


@pytest.mark.flink
def test_a_worker_without_tensorflow(job, tmp_path, flink_cluster):
    """The sentence of the worker, not the stack trace of the runner."""
    support.write(tmp_path / "fake" / "tensorflow.py", "raise ImportError('libcudart.so is missing')\n")
    jar = flink.job_server_jar(str(tmp_path))
    flags = ["--runner=FlinkRunner", f"--flink-master={flink_cluster.master}", f"--flink-job-server-jar={jar}"]
    env = {"PYTHONPATH": os.pathsep.join((str(tmp_path / "fake"), support.ROOT))}
    found = support.run_cli("predict", "--job", job, *flags, env=env)
    assert found.returncode == 1
    assert "the job failed: A worker failed: ImportError: libcudart.so is missing" in found.stderr
    assert "java" not in found.stderr.lower()
    support.wait_until(lambda: flink_cluster.running() == [], 30, "the end of the job on the cluster")


def test_the_gist_of_a_long_message():
    python = "Traceback (most recent call last):\n  File \"x\"\nValueError: no such thing [while running 'A']\n"
    assert summary_line(python) == "ValueError: no such thing"
    java = (
        "java.lang.RuntimeException: oh\n\tat a.B(C.java:1)\nCaused by: java.io.IOException: no space\n\tat d.E\n"
    )
    assert summary_line(java) == "IOException: no space"
    assert summary_line("\n the first line \n the second") == "the first line"
    assert summary_line("") == "it does not say why"


def test_an_error_of_ours_is_found_in_what_a_runner_says():
    text = (
        "... batchpredict.errors.OutputRefused: outputPath: cannot write to 'x': no [while running 'Plan']\n more"
    )
    error = told_by(text)
    assert type(error).__name__ == "OutputRefused"
    assert str(error) == "outputPath: cannot write to 'x': no"
    assert told_by("something else") is None
