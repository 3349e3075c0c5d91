"""A stand-in for Dataflow's jobs service, `projects.locations.jobs` of its REST interface.

It takes what Beam's own client sends, answers in the order in which Dataflow does, and runs the pipeline that was
staged, in a process that knows only what a worker of Dataflow is given. What it does not do: judge machine types,
start machines, scale. https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.jobs
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import support

_JOBS = re.compile(
    r"/v1b3/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/jobs(?:/(?P<id>[^/?]+))?(?P<of>/\w+)?"
)

_WORKER = """
import json, sys
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
from batchpredict import storage

staged, given = sys.argv[1], json.loads(sys.argv[2])
pipeline = beam_runner_api_pb2.Pipeline.FromString(storage.read_bytes(staged))
RuntimeValueProvider.set_runtime_options(given)
# Instead of in the image, which only Google's machines could fetch.
here = EmbeddedPythonEnvironment.default().to_runner_api(None)
for environment in pipeline.components.environments.values():
    del environment.dependencies[:]
    environment.urn, environment.payload = here.urn, here.payload
FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()
"""


class StandIn:
    """The service.

    Attributes:
      endpoint: for `--dataflow_endpoint`.
      jobs: what was created, by id, as Dataflow's Job resource.
      calls: method and path of every call, in order.
      refuse: a status and message with which every call is answered; None to serve.
      runs: whether jobs are run; otherwise they stay in their first state.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.refuse: tuple[int, str] | None = None
        self.runs = True
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        """End all jobs, and the service."""
        self._server.shutdown()
        self._server.server_close()
        for process in self._processes.values():
            process.kill()
            process.communicate()

    def launch(self, template: dict[str, Any], parameters: dict[str, str]) -> subprocess.Popen[str]:
        """Run a template as `projects.locations.templates.launch` does: the parameters become options."""
        return self._run({"id": "launched", **template}, parameters)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer."""
        self.calls.append((method, path.partition("?")[0]))
        if self.refuse is not None:
            status, message = self.refuse
            return status, {"error": {"code": status, "message": message, "status": "REFUSED"}}
        found = _JOBS.match(path)
        assert found is not None, path
        name = found["id"]
        if method == "POST":
            return 200, self._create(body, found["project"], found["region"])
        if name is None:
            return 200, {"jobs": list(self.jobs.values())}
        if name not in self.jobs:
            return 404, {"error": {"code": 404, "message": f"Job {name} was not found", "status": "NOT_FOUND"}}
        if found["of"] == "/messages":
            return 200, {"jobMessages": list(self._messages(name))}
        if found["of"] == "/metrics":
            return 200, {}
        if method == "PUT":
            self.jobs[name]["requestedState"] = body["requestedState"]
            process = self._processes.get(name)
            if process is not None:
                process.kill()
        return 200, {**self.jobs[name], "currentState": self._state(name)}

    def _create(self, job: dict[str, Any], project: str, region: str) -> dict[str, Any]:
        name = f"2026-01-01_00_00_00-{len(self.jobs)}"
        job = {**job, "id": name, "projectId": project, "location": region, "currentState": "JOB_STATE_PENDING"}
        self.jobs[name] = job
        if self.runs:
            self._processes[name] = self._run(job, {})
        return job

    def _run(self, job: dict[str, Any], parameters: dict[str, str]) -> subprocess.Popen[str]:
        options = job["environment"]["sdkPipelineOptions"]["options"]
        command = [sys.executable, "-c", _WORKER, options["pipelineUrl"], json.dumps({**options, **parameters})]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=support.ROOT
        )

    def _state(self, name: str) -> str:
        process = self._processes.get(name)
        status = None if process is None else process.poll()
        if "requestedState" in self.jobs[name] and (process is None or status is not None):
            return "JOB_STATE_CANCELLED"
        if process is None:
            return "JOB_STATE_PENDING"
        if status is None:
            return "JOB_STATE_RUNNING"
        return "JOB_STATE_DONE" if status == 0 else "JOB_STATE_FAILED"

    def _messages(self, name: str) -> Iterator[dict[str, Any]]:
        if self._state(name) == "JOB_STATE_FAILED":
            process = self._processes[name]
            assert process.stderr is not None
            text = process.stderr.read()
            if text:
                self.jobs[name]["said"] = text
            yield {
                "id": "1",
                "time": "2026-01-01T00:00:00Z",
                "messageImportance": "JOB_MESSAGE_ERROR",
                "messageText": self.jobs[name]["said"],
            }


def _handler(service: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = service.answer(self.command, self.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler
