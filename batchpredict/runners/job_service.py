"""A server of Beam's Job API: whether it is there, what it is, and which options it knows."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from batchpredict.errors import RunnerFailed, WrongFlag

# How long a server may take to take a connection, and to answer the first question.
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 15.0

_ENDPOINT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:/\s]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str, flag: str) -> Endpoint:
        """The endpoint that a flag names; a scheme before it and a path after it do not matter.

        Raises:
          WrongFlag: it is not of the form host:port.
        """
        bare = re.sub(r"^https?://", "", text.strip()).rstrip("/")
        found = _ENDPOINT.fullmatch(bare)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise WrongFlag(f"{flag}: '{text}' is not of the form host:port")
        return cls(found["host"].strip("[]"), int(found["port"]))

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """It is this machine's own."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def reach(self, what: str, flag: str) -> None:
        """See that somebody listens there.

        Raises:
          RunnerFailed: nobody does.
        """
        try:
            socket.create_connection((self.host, self.port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            reason = "nobody answers" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise RunnerFailed(f"{flag}: there is no {what} at {self}: {reason}") from error


def known_options(endpoint: Endpoint, flag: str) -> set[str]:
    """Names of the options that the server knows beside Beam's own; a server need not know any.

    Raises:
      RunnerFailed: what listens there is no job server.
    """
    endpoint.reach("job server", flag)
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(str(endpoint)) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            answer = service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=_ANSWER_SECONDS
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                raise RunnerFailed(
                    f"{flag}: what listens at {endpoint} is no job server, or of a Beam too far from {beam()}"
                ) from error
            raise RunnerFailed(
                f"{flag}: what listens at {endpoint} does not answer as a job server of Beam does "
                "(Flink's own port, 8081 mostly, goes to --flink-master)"
            ) from error
    return {option.name for option in answer.options}


def beam() -> str:
    """The Beam that is installed here, for messages."""
    from apache_beam import version

    return f"Beam {version.__version__}"
