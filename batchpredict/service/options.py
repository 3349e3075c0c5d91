"""What a service can be told, one row each: its name in every place, and what its values may be.

A kind turns a value as it was given (text from a flag or a variable, a value of TOML) into the one that `Settings`
holds, or raises ValueError with the rest of the sentence that begins with the value's place.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.service.members import member_fault

Kind = Callable[[Any], Any]

ROLES = ("all", "api", "worker")

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})([KMGT]?)(?:i?B)?")
# File systems of fsspec that are memory of one process, or a view of files that are elsewhere.
_NO_ROOTS = frozenset(
    [
        "memory",
        "data",
        "zip",
        "tar",
        "libarchive",
        "reference",
        "dir",
        "generic",
        "cached",
        "blockcache",
        "filecache",
    ]
)
_HOST_PATTERN = re.compile(r"\*|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True)
class Option:
    """One setting.

    Attributes:
      field: of `Settings`; `oidc_…` for a field of its `Oidc`.
      section, key: where a TOML file has it.
      kind: of its values; of each of them, where there are many.
      many: a list: a flag given again and again, a variable with commas.
      flag: of the command.
    """

    field: str
    section: str
    key: str
    kind: Kind
    many: bool = False
    flag: str = ""

    @property
    def spelled(self) -> str:
        return self.flag or "--" + self.field.replace("_", "-")

    @property
    def variable(self) -> str:
        return f"BATCHPREDICT_{self.field.upper()}"

    def place_in(self, file: str) -> str:
        return f"{file}: [{self.section}] {self.key}"

    def value(self, given: Any, *, text: bool) -> Any:
        """The value for `Settings`. Raises ValueError: what is wrong with it."""
        if not self.many:
            return self.kind(given)
        if text and isinstance(given, str):
            # Flags of Beam hold commas; they come as they would in a shell.
            given = shlex.split(given) if self.field == "runner_flags" else given.split(",")
            given = [part.strip() for part in given if part.strip()]
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ValueError("is a list of texts")
        return tuple(self.kind(each) for each in given)


def text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"is a text, not {given!r}")
    if "\0" in given:
        raise ValueError("holds a NUL character")
    return given


def some_text(given: Any) -> str:
    if not text(given).strip():
        raise ValueError("is empty")
    return text(given)


def whole(least: int, most: int | None = None) -> Kind:
    """A whole number within bounds."""
    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"

    def kind(given: Any) -> int:
        number = given
        if isinstance(given, str) and re.fullmatch(r"-?[0-9]{1,18}", given.strip()):
            number = int(given)
        if not isinstance(number, int) or isinstance(number, bool) or number < least or (most or number) < number:
            raise ValueError(f"is a whole number {bounds}, not {given!r}")
        return number

    return kind


def seconds(given: Any) -> float:
    try:
        number = float("nan" if isinstance(given, bool) else given)
    except (TypeError, ValueError):
        number = float("nan")
    if not 1 <= number <= 3600:
        raise ValueError(f"is a number of seconds from 1 to 3600, not {given!r}")
    return number


def size(given: Any) -> int:
    """Bytes: a number, or a text such as `8GiB`."""
    found = _SIZE.fullmatch(str(given).strip()) if not isinstance(given, bool) else None
    if found is None or int(found[1]) == 0:
        raise ValueError(f"is a number of bytes such as 8589934592 or '8GiB', not {given!r}")
    return int(found[1]) * _UNITS[found[2]]


def one_of(*known: str) -> Kind:
    def kind(given: Any) -> str:
        if given not in known:
            raise ValueError(f"is one of {', '.join(known)}, not {given!r}")
        return str(given)

    return kind


def member(given: Any) -> str:
    fault = member_fault(some_text(given))
    if fault:
        raise ValueError(f"names '{given}': {fault.rstrip('.')}")
    return str(given)


def token(given: Any) -> tuple[str, str]:
    """MEMBER=SHA256 as text, or a table of TOML; as (member, sha256)."""
    if isinstance(given, dict):
        wrong = next((key for key in given if key not in ("member", "sha256")), None)
        if wrong is not None:
            raise ValueError(f"has no key '{wrong}': its keys are 'member' and 'sha256'")
        whose, digest = given.get("member", ""), given.get("sha256", "")
    else:
        whose, _, digest = text(given).rpartition("=")
    # What was given is not shown: it may be the token itself, in the wrong place.
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise ValueError("needs the SHA-256 of each token: 64 hexadecimal digits, and not the token itself")
    if not str(whose).startswith(("user:", "serviceAccount:")):
        raise ValueError("names for each token whose it is: 'user:…' or 'serviceAccount:…'")
    return member(whose), digest.lower()


def _http_url(given: Any, what: str) -> urllib.parse.SplitResult:
    """A URL of HTTP with a host and no user, in its parts. Raises ValueError: it `what`."""
    try:
        parts = urllib.parse.urlsplit(some_text(given))
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or parts.username is not None:
        raise ValueError(f"{what}, not '{given}'")
    return parts


def web_address(given: Any) -> str:
    """https, or http to this very machine, where nobody listens in."""
    parts = _http_url(given, "is the address of a web page, such as 'https://accounts.example.org'")
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        raise ValueError(f"begins with https://, not '{given}': whoever listens in could forge what it says")
    return str(given)


def own_address(given: Any) -> str:
    """The URL of a service, as its own workers reach it. They may be in a network where nobody listens in."""
    parts = _http_url(given, "is the URL of this service, such as 'https://batchpredict.example.org'")
    if parts.query or parts.fragment:
        raise ValueError(f"ends before '?' and '#', unlike '{given}'")
    return str(given).rstrip("/")


def host_pattern(given: Any) -> str:
    if not _HOST_PATTERN.fullmatch(some_text(given)):
        raise ValueError(f"names hosts: 'hooks.example.org', '*.example.org' for all below it; not '{given}'")
    return str(given).lower()


def network(given: Any) -> str:
    try:
        return str(ipaddress.ip_network(some_text(given)))
    except ValueError as error:
        raise ValueError(f"names a network such as '10.1.0.0/16', not '{given}': {error}") from error


def root(given: Any) -> str:
    """A folder or URL. What is wrong with it beyond this is found by `access.paths`."""
    url = some_text(given)
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if "::" in url or scheme in _NO_ROOTS:
        raise ValueError(f"names '{url}', which is nothing that several processes share")
    if set("*?[") & set(url):
        raise ValueError(f"names '{url}': a root is one folder, without wildcards")
    if scheme and "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("names a URL with credentials in it; the store's own configuration is the place for them")
    return url


def beam_flag(given: Any) -> str:
    if not some_text(given).startswith("--"):
        raise ValueError(f"lists flags such as '--temp_location=gs://…', not '{given}'")
    return str(given)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


OPTIONS = (
    Option("host", "server", "host", some_text),
    Option("port", "server", "port", whole(0, 65535)),
    Option("role", "server", "role", one_of(*ROLES)),
    Option("tls_certificate", "server", "tls_certificate", text),
    Option("tls_key", "server", "tls_key", text),
    Option("database", "database", "url", text),
    Option("data", "paths", "data", some_text),
    Option("roots", "paths", "roots", root, many=True, flag="--root"),
    Option("workers", "capacity", "workers", whole(1, 10_000)),
    Option("jobs", "capacity", "jobs", whole(1, 10_000)),
    Option("project_jobs", "capacity", "project_jobs", whole(1)),
    Option("project_workers", "capacity", "project_workers", whole(1)),
    Option("watches", "capacity", "watches", whole(0, 10_000)),
    Option("keep_jobs", "retention", "jobs", whole(1, 36_500)),
    Option("keep_logs", "retention", "logs", whole(1, 36_500)),
    Option("queue_limit", "capacity", "queue_limit", whole(1)),
    Option("lease", "capacity", "lease", seconds),
    Option("runner", "runner", "name", some_text),
    Option("runner_flags", "runner", "flags", beam_flag, many=True, flag="--runner-flag"),
    Option("tokens", "access", "tokens", token, many=True, flag="--token"),
    Option("admins", "access", "admins", member, many=True, flag="--admin"),
    Option("oidc_issuer", "access.oidc", "issuer", web_address),
    Option("oidc_audience", "access.oidc", "audience", some_text),
    Option("oidc_jwks", "access.oidc", "jwks", web_address),
    Option("oidc_claim", "access.oidc", "claim", some_text),
    Option("oidc_groups", "access.oidc", "groups", text),
    Option("webhook_hosts", "webhooks", "hosts", host_pattern, many=True, flag="--webhook-host"),
    Option("webhook_private", "webhooks", "private", network, many=True),
    Option("webhook_secret_file", "webhooks", "secret_file", text),
    Option("user", "jobs", "user", text),
    Option("job_memory", "jobs", "memory", size),
    Option("rendezvous_url", "jobs", "rendezvous_url", own_address),
)
