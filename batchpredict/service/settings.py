"""What a service is told when it starts: from flags, the environment and a TOML file, in that order of weight.

The file, with every section and key that there is; all of them may be left out:

    [server]
    host = "127.0.0.1"            # without tokens and OIDC, loopback only
    port = 8080                   # a worker's only if the file says that it is one's
    role = "all"                  # "api" or "worker" for one of both
    tls_certificate = "cert.pem"  # both or none
    tls_key = "key.pem"

    [database]
    url = "postgresql://batchpredict@db/batchpredict"  # or the path of a SQLite file

    [paths]
    data = "/var/lib/batchpredict"
    roots = ["/srv/data", "gs://bucket/folder"]

    [capacity]
    workers = 8                   # worker processes of this machine
    jobs = 4                      # jobs at a time on this machine
    project_jobs = 2              # … of one project on all machines
    project_workers = 16
    queue_limit = 10000
    watches = 8                   # that this machine leads; each is a process that looks for files
    lease = 15                    # seconds

    [retention]
    jobs = 365                    # days after its end
    logs = 30

    [runner]
    name = "FlinkRunner"
    flags = ["--flink_master=flink:8081"]

    [jobs]
    user = "nobody"               # whom job processes run as
    memory = "8GiB"
    rendezvous_url = "https://batchpredict.example.org"  # of this service; without, replicas meet in the jobDir

    [access]
    admins = ["user:ann@example.org"]

    [[access.tokens]]
    member = "serviceAccount:airflow@example.org"
    sha256 = "…64 hexadecimal digits…"

    [access.oidc]
    issuer = "https://accounts.example.org"
    audience = "batchpredict"
    jwks = "https://accounts.example.org/keys"
    claim = "email"
    groups = "groups"

    [webhooks]
    hosts = ["*.example.org"]
    private = ["10.1.0.0/16"]
    secret_file = "/run/secrets/webhook"

The variable of a setting is BATCHPREDICT_ and its name in `Settings` in capitals; BATCHPREDICT_OIDC_ISSUER for a
field of `Oidc`; a list is separated by commas, runner flags by spaces, tokens are MEMBER=SHA256.
BATCHPREDICT_CONFIG names the file. Paths are relative to the folder in which the service is started.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchpredict.errors import WrongCall
from batchpredict.runners import check_runner, closest
from batchpredict.service.options import OPTIONS, Option, is_loopback

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Variables of the engine and of the command that are none of a service's settings, though some look like one.
_OTHERS = frozenset(
    f"BATCHPREDICT_{name}" for name in ("CACHE", "CACHE_BYTES", "CONFIG", "DEBUG", "ENDPOINT", "PROJECT", "TOKEN")
)


@dataclass(frozen=True)
class Token:
    """A static token: whose it is, and the SHA-256 of the token in hexadecimal. The token itself is nowhere."""

    member: str
    sha256: str = field(repr=False)


@dataclass(frozen=True)
class Oidc:
    """Tokens of an OpenID provider.

    Attributes:
      issuer: the `iss` that is accepted; its configuration is found below it unless `jwks` is given.
      audience: the `aud` that is accepted.
      jwks: URL of the keys; "" to find it.
      claim: which claim names the caller; an e-mail becomes "user:…", anything else too.
      groups: which claim lists the groups of the caller, "group:…" in policies; "" for none.
    """

    issuer: str
    audience: str
    jwks: str = ""
    claim: str = "email"
    groups: str = ""


@dataclass(frozen=True)
class Settings:
    """Everything a service can be told.

    Attributes:
      host, port: where it listens. Without tokens or OIDC it listens on loopback only. No port: it does not listen.
      role: "all" for API, scheduler and worker in one; "api" or "worker" for one of them.
      database: SQLAlchemy URL, or a path of a SQLite file; "" for `batchpredict.db` in the data folder.
      data: folder of the service's own: the SQLite file, copies of model versions. URL if machines share it.
      roots: folders and URLs below which jobs and models may read and write; none for the working directory.
      workers: worker processes of this machine; None for its cores.
      jobs: most running jobs of this machine; None for as many as workers.
      project_jobs, project_workers: most of one project, on all machines; None for no limit.
      queue_limit: most queued jobs of a project.
      watches: that this machine leads at most; 0 for none.
      keep_jobs, keep_logs: days after its end for which a job, and its log, are kept; None for ever.
      lease: seconds that a job is held without a renewal.
      runner: where jobs run, as `--runner` names it; `runner_flags` are its flags.
      tokens, oidc: who may call; none of both for everybody, on loopback.
      admins: members that may do everything on every project.
      webhook_hosts: hosts that webhooks may name; "*.x.org" for all below x.org, "*" for all. None: no webhooks.
      webhook_private: networks in CIDR form that webhooks may reach although they are not public.
      webhook_secret_file: file with the key that signs them.
      user: name of the user that job processes run as; "" for the service's own.
      job_memory: bytes of address space of a job's processes; None for no limit.
      rendezvous_url: URL by which the hosts of training jobs reach this service, to meet in it; "" where they meet
        in the jobDir.
      tls_certificate, tls_key: files; "" for plain HTTP.
      file: the TOML file that was read; "" for none.
    """

    host: str = "127.0.0.1"
    port: int | None = 8080
    role: str = "all"
    # Its password, and what Beam's flags may hold, are for no log.
    database: str = field(default="", repr=False)
    data: str = "batchpredict-service"
    roots: Sequence[str] = ()
    workers: int | None = None
    jobs: int | None = None
    project_jobs: int | None = None
    project_workers: int | None = None
    queue_limit: int = 10_000
    watches: int = 8
    keep_jobs: int | None = None
    keep_logs: int | None = None
    lease: float = 15.0
    runner: str = "DirectRunner"
    runner_flags: Sequence[str] = field(default=(), repr=False)
    tokens: Sequence[Token] = ()
    oidc: Oidc | None = None
    admins: Sequence[str] = ()
    webhook_hosts: Sequence[str] = ()
    webhook_private: Sequence[str] = ()
    webhook_secret_file: str = ""
    user: str = ""
    job_memory: int | None = None
    rendezvous_url: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    file: str = ""

    @property
    def open(self) -> bool:
        """Whether nobody is asked who they are."""
        return not self.tokens and self.oidc is None

    @property
    def database_url(self) -> str:
        """The database as SQLAlchemy takes it: PostgreSQL by psycopg, SQLite by an absolute path.

        Raises:
          ValueError: it is neither, or "" while `data` is no folder of this machine. The URL is not in the message:
            it may hold a password.
        """
        given = self.database
        if not given:
            if "://" in self.data:
                raise ValueError("is needed where the data folder is a URL")
            given = str(Path(self.data) / "batchpredict.db")
        scheme, found, rest = given.partition("://")
        if not found:
            if given == ":memory:":
                raise ValueError("is kept in no file, so jobs would be lost")
            # Unlike that of pathlib, this one leaves a user that there is not as it is: it may be a file's name.
            return f"sqlite:///{Path(os.path.expanduser(given)).absolute()}"
        if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            return f"postgresql+psycopg://{rest}"
        if scheme not in ("sqlite", "sqlite+pysqlite"):
            raise ValueError("begins with postgresql:// or sqlite:///, or is the path of a SQLite file")
        path = rest[1:].partition("?")[0]
        if not rest.startswith("/") or path in ("", ":memory:"):
            raise ValueError("of SQLite is the path of a file behind sqlite:///")
        return f"sqlite:///{Path(path).absolute()}{rest[1 + len(path) :]}"


def read(flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None) -> Settings:
    """Settings from flags (by field name; None where not given), then BATCHPREDICT_… variables, then a TOML file.

    Raises:
      WrongCall: names the flag, the variable, or the file and its key.
    """
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    file = file or environment.get("BATCHPREDICT_CONFIG") or ""
    for option, given, place in _given(flags, environment, file):
        try:
            values[option.field] = option.value(given, text=not place.endswith(f"] {option.key}"))
        except ValueError as error:
            raise WrongCall(f"{place} {error}") from error
        places[option.field] = place
    if values.get("role") == "worker" and not _has_its_own_port(places, file):
        values["port"] = None
    for option in OPTIONS:
        places.setdefault(option.field, option.spelled)
    settings = Settings(
        **{name: value for name, value in values.items() if not name.startswith(("oidc_", "tokens"))},
        tokens=tuple(Token(*each) for each in values.get("tokens", ())),
        oidc=_oidc(values, places),
        file=file,
    )
    _check(settings, places)
    return settings


def _has_its_own_port(places: Mapping[str, str], file: str) -> bool:
    """Whether a worker was given a port. One of a file that is not a worker's is the API's, on the same machine."""
    in_file, said = f"{file}: [server]", places.get("port")
    return said is not None and (said != f"{in_file} port" or places["role"] == f"{in_file} role")


def _given(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: str
) -> Iterator[tuple[Option, Any, str]]:
    """Every value that counts, with its place. A flag hides a variable, which hides a key."""
    document = _document(file) if file else {}
    _refuse_variables(environment)
    _refuse_keys(document, "", file)
    known = {option.field for option in OPTIONS}
    for name in flags:
        if name not in known:
            raise TypeError(f"there is no setting '{name}'")
    for option in OPTIONS:
        section = document
        for part in option.section.split("."):
            section = section.get(part, {})
        if flags.get(option.field) is not None:
            yield option, flags[option.field], option.spelled
        elif environment.get(option.variable):
            yield option, environment[option.variable], option.variable
        elif option.key in section:
            yield option, section[option.key], option.place_in(file)


def _document(file: str) -> dict[str, Any]:
    try:
        with open(file, "rb") as source:
            return tomllib.load(source)
    except FileNotFoundError as error:
        raise WrongCall(f"--config: there is no file '{file}'") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongCall(f"--config: '{file}' is no TOML: {error}") from error
    except OSError as error:
        raise WrongCall(f"--config: '{file}' cannot be read: {error.strerror}") from error


def _refuse_variables(environment: Mapping[str, str]) -> None:
    """A variable that resembles none of ours may be somebody else's; one that does was meant to be it."""
    variables = [option.variable for option in OPTIONS]
    for name in environment:
        if not name.startswith("BATCHPREDICT_") or name in variables or name in _OTHERS:
            continue
        if difflib.get_close_matches(name, variables, n=1, cutoff=0.9):
            raise WrongCall(f"{name}: there is no such setting{closest(name, variables)}")


def _refuse_keys(table: Mapping[str, Any], section: str, file: str) -> None:
    """Every key of a table is one of its options, or a section below it."""
    inside = f"{section}." if section else ""
    keys = {option.key for option in OPTIONS if option.section == section}
    sections = {
        option.section[len(inside) :].partition(".")[0]
        for option in OPTIONS
        if option.section.startswith(inside) and option.section != section
    }
    for key, value in table.items():
        place = f"{file}: [{section}]" if section else f"{file}:"
        if key in sections and key not in keys:
            if not isinstance(value, dict):
                raise WrongCall(f"{place} {key} is a section: write [{inside}{key}]")
            _refuse_keys(value, f"{inside}{key}", file)
        elif key not in keys:
            raise WrongCall(f"{place} {key}: there is no such key{closest(key, sorted(keys | sections))}")


def _oidc(values: Mapping[str, Any], places: Mapping[str, str]) -> Oidc | None:
    given = {name.removeprefix("oidc_"): value for name, value in values.items() if name.startswith("oidc_")}
    if not given:
        return None
    for needed in ("issuer", "audience"):
        if needed not in given:
            some = places[f"oidc_{next(iter(given))}"]
            raise WrongCall(f"{places[f'oidc_{needed}']} is needed with {some}")
    return Oidc(**given)


def _check(settings: Settings, places: Mapping[str, str]) -> None:
    """What values must have to do with each other and with this machine."""
    if settings.open and settings.role != "worker" and not is_loopback(settings.host):
        raise WrongCall(
            f"{places['host']} is '{settings.host}', which others can reach: configure [[access.tokens]] or "
            "[access.oidc], or listen on 127.0.0.1"
        )
    try:
        _ = settings.database_url
    except ValueError as error:
        raise WrongCall(f"{places['database']} {error}") from error
    owners: dict[str, str] = {}
    for token in settings.tokens:
        if owners.setdefault(token.sha256, token.member) != token.member:
            raise WrongCall(f"{places['tokens']} has one token for '{owners[token.sha256]}' and '{token.member}'")
    if any(admin.startswith("group:") for admin in settings.admins) and not (
        settings.oidc and settings.oidc.groups
    ):
        raise WrongCall(f"{places['admins']} names a group: configure the provider's claim, [access.oidc] groups")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        missing = "tls_key" if settings.tls_certificate else "tls_certificate"
        given = "tls_certificate" if settings.tls_certificate else "tls_key"
        raise WrongCall(f"{places[missing]} is needed with {places[given]}")
    check_runner(settings.runner, places["runner"])
    if settings.webhook_hosts and not settings.webhook_secret_file:
        raise WrongCall(f"{places['webhook_secret_file']} is needed with {places['webhook_hosts']}")
    for name in ("tls_certificate", "tls_key", "webhook_secret_file"):
        _readable(getattr(settings, name), places[name])
    if settings.user:
        _known_user(settings.user, places["user"])


def _readable(path: str, place: str) -> None:
    if not path:
        return
    try:
        with open(path, "rb") as source:
            empty = not source.read(1)
    except OSError as error:
        raise WrongCall(f"{place}: '{path}' cannot be read: {error.strerror}") from error
    if empty:
        raise WrongCall(f"{place}: '{path}' is empty")


def _known_user(name: str, place: str) -> None:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError as error:
        raise WrongCall(f"{place}: there is no user '{name}' on this machine") from error
