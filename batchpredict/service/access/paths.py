"""Which paths jobs and models may name: those below the configured roots, whatever spelling hides where they lead.

    given                              taken as
    /srv/data/in/*.json                a path of this machine; `.`, `..` and links are resolved up to the wildcard
    file:///srv/data/x                 the same; no other form of file: URL
    in/x.json                          relative to the first root
    gs://bucket/in/x, GCS://bucket/…   its scheme in lower case, gcs as gs and s3a as s3; the rest to the letter
    ~/x, zip://…::…, memory://…, a:b   refused, as is everything of a scheme that no root has

Names are literal on object stores and on this machine: `%2e%2e` is one of six characters. Web servers decode it, so
there it is refused. `.`, `..` and empty parts of a URL are refused: what one client takes to the letter another
resolves. Where a web server redirects to is its own affair, so a root of that kind is one that is trusted.

The service's own data (its database, the copies of all tenants' models), the files with its keys, and the kernel's
file systems are below no root, also where one is written so that they would be. A folder that holds some of them,
or a pattern that would match some, is refused as a whole.

A link can be changed between the check of a path and its use, by whoever may write below a root; nobody can by a
request, as no method makes links. So a path is resolved when it is checked, the resolved one is what the job uses,
and `inside` resolves what a pattern has matched when the job begins. None of this holds the code in a SavedModel;
the rights of the user that jobs run as do.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from batchpredict.errors import InvalidJob, Violation, WrongCall
from batchpredict.service.settings import Settings
from batchpredict.storage import Pattern

MAX_LENGTH = 4096
"""Characters of a path: PATH_MAX of Linux."""

_MAGIC = frozenset("*?[")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_ALIASES = {"gcs": "gs", "s3a": "s3"}
_WEB = ("http", "https")
_PORTS = {"http": ":80", "https": ":443"}
# What a web server may decode to a dot, a slash, a backslash or a percent sign; and what would end its path.
_ENCODED = re.compile(r"%(?:2e|2f|5c|00|25)|[\\#?]", re.IGNORECASE)
_AUTHORITY = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_KERNEL = ("/proc", "/sys", "/dev")
# Seconds for which it is taken for true where the roots lead to: an administrator may set one to another folder.
_FRESH = 1.0


class _Refused(ValueError):
    """Why a path is refused: the rest of a sentence that begins with it."""


@dataclass(frozen=True)
class _Place:
    """Where something is: `scheme` "" and an absolute path for this machine; else the URL behind `scheme://`."""

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}" if self.scheme else self.path

    def holds(self, other: _Place) -> bool:
        """Whether another place is this one or below it."""
        return self.scheme == other.scheme and (
            other.path == self.path or other.path.startswith(self.path.rstrip("/") + "/")
        )


@dataclass(frozen=True)
class _Now:
    """What is configured, resolved.

    Attributes:
      until: of the monotonic clock; after this it is to be looked at again.
      roots: in their order.
      excluded: device and inode of what is excluded, as far as it is there.
    """

    until: float
    roots: Sequence[_Place]
    excluded: frozenset[tuple[int, int]]


class RootedPaths:
    """`interface.Paths` over some roots. Used from many threads.

    Args:
      roots: folders of this machine and URLs; none for the working directory.
      excluded: files and folders that are below no root.

    Raises:
      WrongCall: a root is no folder, or cannot be one root.
    """

    def __init__(self, roots: Sequence[str] = (), excluded: Sequence[str] = ()) -> None:
        self._excluded = [_resolved(_place(each, "--data")) for each in (*_KERNEL, *excluded)]
        self._now: _Now | None = None
        self._roots: list[_Place] = []
        self._roots = [_root(each, self._is_excluded) for each in roots or (os.getcwd(),)]
        self._now = None

    @classmethod
    def of(cls, settings: Settings) -> RootedPaths:
        """Those of a service. Its own files are excluded."""
        own = [
            settings.data,
            settings.webhook_secret_file,
            settings.tls_key,
            settings.tls_certificate,
            settings.file,
        ]
        url = settings.database_url
        if url.startswith("sqlite:///"):
            database = url.removeprefix("sqlite:///").partition("?")[0]
            own += [database, f"{database}-wal", f"{database}-shm", f"{database}-journal"]
            # Copies that were made before a migration.
            own += glob.glob(f"{glob.escape(database)}.schema-*")
        return cls(settings.roots, [each for each in own if each])

    @property
    def roots(self) -> list[str]:
        return [str(root) for root in self._roots]

    @property
    def excluded(self) -> list[str]:
        return [str(each) for each in self._excluded]

    def check(self, url: str, field: str) -> str:
        try:
            return str(self._allowed(url, literal=False))
        except _Refused as error:
            shown = url if len(url) <= 200 else f"{url[:200]}…"
            raise InvalidJob([Violation(field, f'"{_printable(shown)}" {error}')]) from error

    def inside(self, url: str) -> bool:
        try:
            self._allowed(url, literal=True)
        except _Refused:
            return False
        return True

    def _allowed(self, url: str, *, literal: bool) -> _Place:
        """Where a path leads. Raises _Refused: not below a root."""
        place = _parsed(url, self._roots[0])
        fixed, rest = (place, "") if literal else _cut(place)
        if not place.scheme and ".." in rest.split("/"):
            raise _Refused("has '..' behind a wildcard.")
        fixed = _resolved(fixed)
        # What looks like a pattern may be there by that very name, and is then what is meant.
        roots = self._as_of_now().roots
        for each in {fixed} if not rest else {fixed, _resolved(place)}:
            if not any(root.holds(each) for root in roots) or self._is_excluded(each):
                some = ", ".join(self.roots[:5]) + (", …" if len(self._roots) > 5 else "")
                raise _Refused(f"is not below a folder that jobs may use: {some}.")
        if literal:
            return fixed
        self._refuse_own(fixed, rest)
        allowed = _Place(fixed.scheme, f"{fixed.path.rstrip('/')}/{rest}") if rest else fixed
        if url != url.strip() or allowed.path != allowed.path.strip():
            raise _Refused("begins or ends with a blank.")
        return allowed

    def _refuse_own(self, folder: _Place, rest: str) -> None:
        """Raises _Refused: a folder holds something that is excluded, or a pattern in it would match that."""
        try:
            pattern = Pattern(rest.split("/"), hidden=True) if rest else None
        except ValueError as error:
            raise _Refused("has more than '**' between two slashes.") from error
        for each in self._excluded:
            below = _below(folder, each)
            if below and (pattern is None or pattern.enters(below) or (pattern.takes(below) and _is_file(each))):
                raise _Refused(f"holds '{below}', which is the service's own: name what is meant beside it.")

    def _is_excluded(self, place: _Place) -> bool:
        """Whether something that is excluded is a resolved place or holds it, by whatever name it is reached."""
        if any(each.holds(place) for each in self._excluded):
            return True
        if place.scheme:
            return False
        # Another name for the same: a hard link, a second mount, or other letters where case does not count.
        return not self._as_of_now().excluded.isdisjoint(_identities(place.path))

    def _as_of_now(self) -> _Now:
        """What is configured, as the file system has it. Threads may do it twice, which is nobody's loss."""
        now, moment = self._now, time.monotonic()
        if now is None or moment >= now.until:
            excluded = (_identity(each.path) for each in self._excluded if not each.scheme)
            roots = [_resolved(root) for root in self._roots]
            now = _Now(moment + _FRESH, roots, frozenset(each for each in excluded if each is not None))
            self._now = now
        return now


def _parsed(url: str, first: _Place) -> _Place:
    """What a URL names, with nothing resolved yet. Raises _Refused."""
    if not url:
        raise _Refused("is empty.")
    if len(url) > MAX_LENGTH:
        raise _Refused(f"has more than {MAX_LENGTH} characters.")
    if any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in url):
        raise _Refused("has a character in it that no path has.")
    if "::" in url:
        raise _Refused("is a chain of URLs: name the file itself.")
    if url.startswith("~"):
        raise _Refused("begins with '~', which is nobody's home here: write the whole path.")
    found = _SCHEME.match(url)
    if found is None:
        if url.startswith("/"):
            return _Place("", _single_slashes(url))
        base = str(first).rstrip("/")
        return _parsed(f"{base}/{url}", first)
    scheme, rest = found[1].lower(), url[found.end() :]
    if not rest.startswith("//"):
        raise _Refused(f"begins with '{found[0]}' and no slashes: write a URL, or the whole path of a file.")
    if scheme == "file":
        if not rest.startswith("///"):
            raise _Refused("names another machine: a file: URL has three slashes.")
        return _Place("", _single_slashes(rest))
    return _remote(_ALIASES.get(scheme, scheme), rest[2:])


def _remote(scheme: str, rest: str) -> _Place:
    authority, slash, path = rest.partition("/")
    path = path.removesuffix("/")
    if not _AUTHORITY.fullmatch(authority):
        raise _Refused("names no bucket or server in the usual letters, without a user and without wildcards.")
    if scheme in _WEB:
        authority = authority.lower().removesuffix(_PORTS[scheme])
        if _ENCODED.search(path):
            raise _Refused("has a '?', '#', '\\' or an encoded dot, slash or percent sign in it.")
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        raise _Refused("has '.', '..' or an empty part in it.")
    return _Place(scheme, f"{authority}/{path}" if slash and path else authority)


def _single_slashes(path: str) -> str:
    """An absolute path without doubled slashes and single dots; only the file system knows where `..` leads."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _cut(place: _Place) -> tuple[_Place, str]:
    """A pattern as the folder before its first wildcard, and the rest."""
    parts = place.path.split("/")
    at = next((at for at, part in enumerate(parts) if not _MAGIC.isdisjoint(part)), len(parts))
    fixed = "/".join(parts[:at])
    return _Place(place.scheme, fixed if place.scheme else fixed or "/"), "/".join(parts[at:])


def _below(folder: _Place, other: _Place) -> str:
    """The path from a folder to something below it; "" if it is not."""
    if folder == other or not folder.holds(other):
        return ""
    return other.path[len(folder.path.rstrip("/")) + 1 :]


def _is_file(place: _Place) -> bool:
    """Whether a pattern could give it: what it gives are files. Also where there is none yet."""
    return not place.scheme and not os.path.isdir(place.path)


def _place(given: str, flag: str) -> _Place:
    """A configured path. Raises WrongCall."""
    try:
        return _parsed(given if "://" in given else os.path.abspath(given), _Place("", "/"))
    except _Refused as error:
        raise WrongCall(f"{flag}: '{given}' {str(error).rstrip('.')}") from error


def _root(given: str, is_excluded: Callable[[_Place], bool]) -> _Place:
    """A configured root. Raises WrongCall."""
    place = _place(given, "--root")
    if not place.scheme and not os.path.isdir(place.path):
        raise WrongCall(f"--root: there is no folder '{given}'")
    if not _MAGIC.isdisjoint(str(_resolved(place))):
        raise WrongCall(f"--root: '{given}' has a wildcard in it; a root is one folder")
    if is_excluded(_resolved(place)):
        raise WrongCall(f"--root: '{given}' is the service's own, or the kernel's")
    return place


def _resolved(place: _Place) -> _Place:
    """A place as it is now, links followed: also a root may be one that has been set to another folder since."""
    return place if place.scheme else _Place("", os.path.realpath(place.path))


def _identity(path: str) -> tuple[int, int] | None:
    """What a file or folder is whatever it is called; None for what is not there, or where numbers say nothing."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _identities(path: str) -> Iterator[tuple[int, int]]:
    """Of a file, and of the folders that it is in, as far as they are there."""
    while True:
        found = _identity(path)
        if found is not None:
            yield found
        if path == "/":
            return
        path = os.path.dirname(path)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode() if text.isprintable() else ascii(text)[1:-1]
