"""What the service adds to a small job: from its creation to its end, beside `batchpredict predict` of the same.

    PYTHONPATH=tests python tests/benchmarks/service_overhead.py [--jobs 5]

The service is idle, as it is for whoever tries it; between two jobs it gets the time to make its next process
ready.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time

import httpx
import support
from service.kills_support import PROJECT, Service

_RECORDS = 100
_IDLE_SECONDS = 15.0


def main(jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder, open(support.digits("text", "part-0.json"), "rb") as file:
        source = support.write(f"{folder}/input.json", b"".join(file.readlines()[:_RECORDS]))
        service = Service(folder)
        try:
            for name in ("api", "worker"):
                service.start(name)
            support.wait_until(lambda: _answers(service), 120, "the API")
            here, there = [], []
            for number in range(jobs):
                time.sleep(_IDLE_SECONDS)
                there.append(_by_service(service, source, f"{folder}/out/s{number}", f"job_{number}"))
                time.sleep(_IDLE_SECONDS)
                here.append(_by_command(source, f"{folder}/out/c{number}"))
            service.stop()
        finally:
            service.end()
    print(json.dumps({"service": _figures(there), "command": _figures(here), "cores": os.cpu_count()}, indent=1))


def _answers(service: Service) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{service.port}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def _by_service(service: Service, source: str, output: str, job_id: str) -> float:
    document = {**support.job(support.DIGITS_MODEL, source, output), "jobId": job_id}
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v1/projects/{PROJECT}") as client:
        began = time.monotonic()
        client.post("/jobs", json=document).raise_for_status()
        while (state := client.get(f"/jobs/{job_id}").json()["state"]) not in ("SUCCEEDED", "FAILED"):
            time.sleep(0.02)
        assert state == "SUCCEEDED"
        return time.monotonic() - began


def _by_command(source: str, output: str) -> float:
    began = time.monotonic()
    done = support.run_cli(*support.flags(support.job(support.DIGITS_MODEL, source, output)), "--quiet")
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def _figures(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 2), "longest": round(max(seconds), 2)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5)
    main(parser.parse_args().jobs)
