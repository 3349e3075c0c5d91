"""The few questions that are asked of a Flink cluster itself, by its REST service."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

from batchpredict.errors import RunnerFailed
from batchpredict.runners.job_service import Endpoint

_ANSWER_SECONDS = 10.0
_CANCEL_SECONDS = 20.0
_ENDED = frozenset(("FINISHED", "CANCELED", "FAILED"))


class FlinkCluster:
    """A Flink cluster. Holds no connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url = f"http://{endpoint}"
        self._endpoint = endpoint

    def version(self) -> str:
        """Its version, "1.19.3" for instance.

        Raises:
          RunnerFailed: it does not answer, or is no Flink.
        """
        self._endpoint.reach("Flink", "--flink-master")
        try:
            return str(self._ask("/config")["flink-version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunnerFailed(
                f"--flink-master: what listens at {self._endpoint} does not answer as Flink's REST service does "
                "(a job server of Beam goes to --job-endpoint)"
            ) from error

    def slots(self) -> tuple[int, int]:
        """Slots that are free now, and all; zeros if that cannot be said."""
        try:
            found = self._ask("/overview")
            return int(found["slots-available"]), int(found["slots-total"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0

    def cancel(self, name: str) -> bool:
        """Cancel the jobs of a name and wait until they have ended; whether they have."""
        end = time.monotonic() + _CANCEL_SECONDS
        told: set[str] = set()
        try:
            while time.monotonic() < end:
                jobs = [job for job in self._ask("/jobs/overview")["jobs"] if job["name"] == name]
                running = [str(job["jid"]) for job in jobs if job["state"] not in _ENDED]
                if jobs and not running:
                    return True
                for job in set(running) - told:
                    self._ask(f"/jobs/{job}?mode=cancel", "PATCH")
                    told.add(job)
                if not jobs:
                    return False
                time.sleep(0.3)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return False

    def _ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self._url}{path}", method=method)
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            return json.loads(answer.read() or b"{}")
