"""`serve` as a process: what it imports, how it begins, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
import support
from service.rest_support import eventually, lines

from batchpredict.cli import main
from batchpredict.service.queue import Cancel
from batchpredict.service.store import NewJob, open_store

_SECONDS = 120


@dataclass
class Serve:
    """A service in a process of its own.

    Attributes:
      said: what it has written to stderr, line by line.
    """

    process: subprocess.Popen[str]
    folder: str
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        def found() -> str:
            assert self.process.poll() is None, self.said
            return next((m[0] for line in self.said if (m := re.search(r"https?://[^\s,]+", line))), "")

        url: str = eventually(found, _SECONDS)
        return url

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@contextlib.contextmanager
def serve(folder: str, *flags: str, program: Sequence[str] = ("-m", "batchpredict")) -> Iterator[Serve]:
    """`batchpredict serve` in a folder, on any port."""
    command = [sys.executable, *program, "serve", *flags]
    environment = {**os.environ, "PYTHONPATH": support.ROOT}
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder, text=True, env=environment) as process:
        made, stderr = Serve(process, folder), process.stderr
        assert stderr is not None
        reading = threading.Thread(target=lambda: made.said.extend(iter(stderr.readline, "")))
        reading.start()
        try:
            yield made
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reading.join()


def body(folder: str, job_id: str) -> dict[str, Any]:
    inputs = os.path.join(folder, "in.json")
    with open(inputs, "w", encoding="utf-8") as file:
        file.write(json.dumps([0] * 64) + "\n")
    asked = {
        "dataFormat": "TEXT",
        "inputPaths": [inputs],
        "outputPath": os.path.join(folder, job_id),
        "region": "here",
        "uri": support.DIGITS_MODEL,
    }
    return {"jobId": job_id, "predictionInput": asked}


ROOTS = ("--root", ".", "--root", support.TESTDATA)
JOBS = "/v1/projects/p/jobs"

# Runs the command, and says at its end what the process has imported.
_IMPORTS = """
import sys
from batchpredict.cli import main
status = main()
print("imported", *sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.long
def test_an_api_imports_neither_tensorflow_nor_beam_whatever_it_is_asked(tmp_path):
    flags = ("--role", "api", "--port", "0", *ROOTS)
    with serve(str(tmp_path), *flags, program=("-c", _IMPORTS)) as service, httpx.Client(timeout=60) as client:
        url = service.url
        assert client.post(f"{url}{JOBS}", json=body(str(tmp_path), "j")).status_code == 200
        assert client.get(f"{url}{JOBS}", params={"filter": "jobId:j*"}).json()["jobs"][0]["jobId"] == "j"
        assert client.post(f"{url}/v1/projects/p/models", json={"name": "m"}).status_code == 200
        version = {"name": "v", "deploymentUri": support.DIGITS_MODEL}
        operation = client.post(f"{url}/v1/projects/p/models/m/versions", json=version).json()
        eventually(lambda: client.get(f"{url}/v1/{operation['name']}").json().get("done"))
        for path in ("/openapi.json", "/docs", "/$discovery/rest?version=v1", "/metrics", "/readyz"):
            assert client.get(f"{url}{path}").status_code == 200
        assert client.get(f"{url}/", follow_redirects=True).headers["content-type"].startswith("text/html")
        service.end()
    [imported] = [line.split()[1:] for line in service.said if line.startswith("imported")]
    assert "batchpredict.service.rest.app" in imported
    assert {"tensorflow", "apache_beam", "keras", "numpy"}.isdisjoint(imported)


def test_it_runs_a_job_from_the_first_request_to_the_last_with_no_configuration(tmp_path):
    with serve(str(tmp_path), "--port", "0", *ROOTS) as service, httpx.Client(timeout=_SECONDS) as client:
        jobs = service.url + JOBS
        assert client.post(jobs, json=body(str(tmp_path), "whole")).status_code == 200
        told = lines(client.get(f"{jobs}/whole:logs?follow=true").text)
        job = client.get(f"{jobs}/whole").json()
        assert job["state"] == "SUCCEEDED", told
        assert job["predictionOutput"]["predictionCount"] == "1"
        assert os.path.exists(tmp_path / "whole" / "_SUCCESS")
        assert told[-1]["message"] == "Job completed successfully."
        metrics = client.get(f"{service.url}/metrics").text
        assert "\nbatchpredict_records_total 1.0\n" in metrics
        assert "\nbatchpredict_queue_wait_seconds_count 1.0\n" in metrics
        # Only whose service it is may look into its folder.
        assert os.stat(tmp_path / "batchpredict-service").st_mode & 0o077 == 0
        assert service.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_lets_requests_end_and_closes_streams(tmp_path, number):
    with serve(str(tmp_path), "--role", "api", "--port", "0", *ROOTS) as service:
        jobs = service.url + JOBS
        with httpx.Client(timeout=60) as client:
            assert client.post(jobs, json=body(str(tmp_path), "queued")).status_code == 200
            with client.stream("GET", f"{jobs}/queued:logs?follow=true") as response:
                assert response.status_code == 200
                service.process.send_signal(number)
                assert response.read() == b""
        assert service.process.wait(_SECONDS) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(jobs)
    # What it had acknowledged is there when it comes again.
    with serve(str(tmp_path), "--role", "api", "--port", "0", *ROOTS) as service:
        assert httpx.get(f"{service.url}{JOBS}/queued").json()["state"] == "QUEUED"
        assert service.end() == 0


@pytest.mark.long
def test_what_is_kept_no_longer_is_deleted(tmp_path):
    long_ago = datetime.now(timezone.utc) - timedelta(days=10)
    store = open_store(str(tmp_path / "x.db"), lambda: long_ago)
    for job_id in ("over", "waits"):
        store.create_job(NewJob("p", job_id, {"predictionInput": {}}))
    store.cancel("p", "over", Cancel("Ann cancelled it."))
    store.close()
    flags = ("--role", "api", "--port", "0", "--database", "x.db")
    for kept, status in (("20", 200), ("7", 404)):
        with serve(str(tmp_path), *flags, "--keep-jobs", kept) as service:
            jobs = service.url + JOBS

            def answered(path: str = f"{jobs}/over", status: int = status) -> bool:
                return httpx.get(path).status_code == status

            eventually(answered, _SECONDS)
            assert httpx.get(f"{jobs}/waits").json()["state"] == "QUEUED"
            assert service.end() == 0


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(str(tmp_path), "--role", "api", "--port", str(port)) as service:
            assert service.process.wait(_SECONDS) == 2
    assert f"--host 127.0.0.1 --port {port}: cannot listen there: Address already in use" in "".join(service.said)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with serve(str(tmp_path), "--port", "0", "--data", "file/data") as service:
        assert service.process.wait(_SECONDS) == 2
    assert "--data" in "".join(service.said)


def test_a_certificate_that_is_none_is_named(tmp_path):
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("nothing")
    flags = ("--tls-certificate", "certificate", "--tls-key", "key")
    with serve(str(tmp_path), "--role", "api", "--port", "0", *flags) as service:
        assert service.process.wait(_SECONDS) == 2
    assert "--tls-certificate" in "".join(service.said)


def test_tls_by_files(tmp_path):
    trusted = certificate(tmp_path)
    flags = ("--tls-certificate", "certificate.pem", "--tls-key", "key.pem")
    with serve(str(tmp_path), "--role", "api", "--port", "0", *flags) as service:
        url = service.url
        assert url.startswith("https://127.0.0.1:")
        with httpx.Client(verify=trusted) as client:
            assert client.get(f"{url}/healthz").json() == {"status": "ok"}
        assert service.end() == 0


@pytest.mark.long
def test_the_command_trusts_the_certificate_that_it_is_given(tmp_path, monkeypatch, capsys):
    certificate(tmp_path)
    flags = ("--tls-certificate", "certificate.pem", "--tls-key", "key.pem")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serve(str(tmp_path), "--role", "api", "--port", "0", *flags) as service:
        assert main(["jobs", "list", f"--endpoint={service.url}"]) == 1
        assert "its certificate is not trusted: " in (said := capsys.readouterr().err)
        assert said.endswith("name a file with the one that signed it by SSL_CERT_FILE\n")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert main(["jobs", "list", f"--endpoint={service.url}"]) == 0
        assert service.end() == 0


def certificate(folder) -> ssl.SSLContext:
    """Writes a certificate of 127.0.0.1 and its key; what trusts it."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return ssl.create_default_context(cafile=str(folder / "certificate.pem"))


def test_a_worker_with_a_port_of_its_own_tells_how_it_is(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serve(str(tmp_path), "--role", "worker", "--port", str(port)) as service:
        url = service.url
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
        assert "batchpredict_splits_total" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}{JOBS}").status_code == 404
        assert service.end() == 0


def test_a_worker_without_one_listens_nowhere(tmp_path):
    with serve(str(tmp_path), "--role", "worker") as service:
        eventually(lambda: any("a worker waits for jobs" in line for line in service.said), _SECONDS)
        assert service.end() == 0


@pytest.mark.long
def test_a_webhook_is_told_of_each_state_of_a_job(tmp_path):
    """The whole way: created over HTTP, cancelled, told by the sender that `serve` starts."""
    (tmp_path / "secret").write_text("a secret that is long enough\n")
    told: list[str] = []
    with receiver(told) as hook:
        flags = ("--webhook-host", "127.0.0.1", "--role", "api", "--port", "0")
        private = tmp_path / "service.toml"
        private.write_text('[webhooks]\nprivate = ["127.0.0.0/8"]\nsecret_file = "secret"\n')
        with serve(str(tmp_path), *flags, *ROOTS, "--config", str(private)) as service:
            jobs = service.url + JOBS
            document = {**body(str(tmp_path), "told"), "webhook": hook}
            answer = httpx.post(jobs, json=document)
            assert answer.json().get("webhook") == hook, answer.text
            assert httpx.post(f"{jobs}/told:cancel").json() == {}
            eventually(lambda: "CANCELLED" in told, _SECONDS)
            refused = httpx.post(jobs, json={**document, "jobId": "other", "webhook": "http://example.org/"})
            assert refused.json()["error"]["details"][0]["fieldViolations"][0]["field"] == "job.webhook"
            assert service.end() == 0


@contextlib.contextmanager
def receiver(told: list[str]) -> Iterator[str]:
    """A server that takes webhooks; the states that it was told of."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["state"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
