"""What a service is told when it starts: from flags, the environment and a TOML file, in that order of weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Token:
    """A static token: whose it is, and the SHA-256 of the token in hexadecimal. The token itself is nowhere."""

    member: str
    sha256: str


@dataclass(frozen=True)
class Oidc:
    """Tokens of an OpenID provider.

    Attributes:
      issuer: the `iss` that is accepted; its configuration is found below it unless `jwks` is given.
      audience: the `aud` that is accepted.
      jwks: URL of the keys; "" to find it.
      claim: which claim names the caller; an e-mail becomes "user:…", anything else too.
    """

    issuer: str
    audience: str
    jwks: str = ""
    claim: str = "email"


@dataclass(frozen=True)
class Settings:
    """Everything a service can be told.

    Attributes:
      host, port: where it listens. Without tokens or OIDC it listens on loopback only.
      role: "all" for API, scheduler and worker in one; "api" or "worker" for one of them.
      database: SQLAlchemy URL, or a path of a SQLite file; "" for `batchpredict.db` in the data folder.
      data: folder of the service's own: the SQLite file, copies of model versions. URL if machines share it.
      roots: folders and URLs below which jobs and models may read and write; none for the working directory.
      workers: worker processes of this machine; None for its cores.
      jobs: most running jobs of this machine; None for as many as workers.
      project_jobs, project_workers: most of one project, on all machines; None for no limit.
      queue_limit: most queued jobs of a project.
      lease: seconds that a job is held without a renewal.
      runner: where jobs run, as `--runner` names it; `runner_flags` are its flags.
      tokens, oidc: who may call; none of both for everybody, on loopback.
      admins: members that may do everything on every project.
      webhook_hosts: hosts that webhooks may name; "*.x.org" for all below x.org. None: no webhooks.
      webhook_private: networks in CIDR form that webhooks may reach although they are not public.
      webhook_secret_file: file with the key that signs them.
      user: name of the user that job processes run as; "" for the service's own.
      job_memory: bytes of address space of a job's processes; None for no limit.
      tls_certificate, tls_key: files; "" for plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    role: str = "all"
    database: str = ""
    data: str = "batchpredict-service"
    roots: Sequence[str] = ()
    workers: int | None = None
    jobs: int | None = None
    project_jobs: int | None = None
    project_workers: int | None = None
    queue_limit: int = 10_000
    lease: float = 15.0
    runner: str = "DirectRunner"
    runner_flags: Sequence[str] = ()
    tokens: Sequence[Token] = ()
    oidc: Oidc | None = None
    admins: Sequence[str] = ()
    webhook_hosts: Sequence[str] = ()
    webhook_private: Sequence[str] = ()
    webhook_secret_file: str = ""
    user: str = ""
    job_memory: int | None = None
    tls_certificate: str = ""
    tls_key: str = ""

    @property
    def database_url(self) -> str:
        """The database as SQLAlchemy takes it."""
        raise NotImplementedError


def read(flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None) -> Settings:
    """Settings from flags (by field name; None where not given), then BATCHPREDICT_… variables, then a TOML file.

    Raises:
      WrongCall: names the flag, the variable, or the file and its key.
    """
    raise NotImplementedError
