"""Dataflow's own service, as far as Beam's client of it does not ask in time.

Beam's client tries a call again for minutes before it says that nobody answers, and it does not wait for what it
cancels. https://cloud.google.com/dataflow/docs/reference/rest
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from batchpredict.errors import RunnerFailed

# How long an answer may take.
_ANSWER_SECONDS = 20.0
_POLL_SECONDS = 1.0


class Service:
    """The jobs of a project in a region.

    Args:
      project: its id.
      region: of the jobs.
      endpoint: of the service, where it is not Google's.
      anonymous: do without credentials.
    """

    def __init__(self, project: str, region: str, endpoint: str | None = None, *, anonymous: bool = False) -> None:
        self._where = {"project_id": project, "location": region}
        self._project = project
        self._region = region
        self._endpoint = endpoint
        self._anonymous = anonymous

    def check(self) -> None:
        """See that the service answers this caller, for this project and region.

        Raises:
          RunnerFailed: it does not, and why.
        """
        with self._told():
            jobs = self._client().list_jobs({**self._where, "page_size": 1}, retry=None, timeout=_ANSWER_SECONDS)
            next(iter(jobs), None)

    def check_credentials(self) -> None:
        """See that there are any.

        Raises:
          RunnerFailed: there are none.
        """
        import google.auth

        if not self._anonymous:
            with self._told():
                google.auth.default()

    def cancel(self, job_id: str, seconds: float) -> bool:
        """Cancel a job; whether it has ended within `seconds`."""
        from google.cloud import dataflow

        State = dataflow.JobState  # noqa: N806
        ended = (
            *(State.JOB_STATE_CANCELLED, State.JOB_STATE_DONE, State.JOB_STATE_FAILED, State.JOB_STATE_STOPPED),
            *(State.JOB_STATE_DRAINED, State.JOB_STATE_UPDATED),
        )
        job = {**self._where, "job_id": job_id}
        end = time.monotonic() + seconds
        try:
            with self._told():
                client = self._client()
                wanted = dataflow.Job(requested_state=State.JOB_STATE_CANCELLED)
                client.update_job({**job, "job": wanted}, retry=None, timeout=_ANSWER_SECONDS)
                while client.get_job(job, retry=None, timeout=_ANSWER_SECONDS).current_state not in ended:
                    if time.monotonic() > end:
                        return False
                    time.sleep(_POLL_SECONDS)
        except RunnerFailed:
            return False
        return True

    def console(self, job_id: str) -> str:
        """The page of a job."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self._region}/{job_id}?project={self._project}"

    def _client(self) -> Any:
        import google.auth.credentials
        from google.api_core.client_options import ClientOptions
        from google.cloud import dataflow

        named: dict[str, Any] = {}
        if self._anonymous:
            named["credentials"] = google.auth.credentials.AnonymousCredentials()
        if self._endpoint:
            # As Beam's client has it: what is on this machine speaks REST.
            if "localhost" in self._endpoint:
                named["transport"] = "rest"
            bare = self._endpoint.rstrip("/")
            if "transport" not in named:
                bare = bare.removeprefix("https://").removeprefix("http://")
            named["client_options"] = ClientOptions(api_endpoint=bare)
        return dataflow.JobsV1Beta3Client(**named)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
        from requests import RequestException

        where = f"Dataflow in {self._region}, project {self._project},"
        try:
            yield
        except DefaultCredentialsError as error:
            raise RunnerFailed(
                "--project: there are no credentials for Google Cloud; `gcloud auth application-default login` "
                "gets some, or GOOGLE_APPLICATION_CREDENTIALS names a service account's key"
            ) from error
        except GoogleAPICallError as error:
            reason = str(error.message or error).splitlines()[0]
            status = "" if error.code is None else f" ({int(error.code)})"
            raise RunnerFailed(f"--project: {where} refuses{status}: {reason}") from error
        except (GoogleAuthError, RetryError, RequestException) as error:
            raise RunnerFailed(f"--project: {where} cannot be reached: {str(error).splitlines()[0]}") from error
