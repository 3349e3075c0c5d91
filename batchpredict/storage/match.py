"""Turning paths and patterns into files.

The service documented one asterisk at the end of a path; here `*`, `?`, `[…]` and `**` work at any level. A
folder means the files in it, which is how many of the service's users wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from batchpredict.errors import NoMatch, NotListed
from batchpredict.storage import local
from batchpredict.storage.files import exists
from batchpredict.storage.interface import Input, Store
from batchpredict.storage.pattern import Pattern, is_magic
from batchpredict.storage.routing import store_of
from batchpredict.storage.urls import join

_NOT_LEFT_OUT: Callable[[str], bool] = lambda _: False  # noqa: E731


def expand(pattern: str, *, left_out: Callable[[str], bool] = _NOT_LEFT_OUT) -> Iterator[Input]:
    """The files that one pattern matches, sorted by name, one after the other.

    What a wildcard, or a folder, means leaves out names that are hidden (`pattern.py`). A file or a folder that is
    there by the very name of the pattern, or of the part of it up to some slash, is meant and no other; only an
    asterisk in the last part stays one.

    Args:
      pattern: a path or URL.
      left_out: tells of a URL whether it is not meant, whatever the pattern says.

    Raises:
      NoMatch: nothing matches.
      NotListed: the file system refuses to list, or has a file whose name is no text.
    """
    empty = True
    try:
        for file in _found(store_of(pattern), pattern):
            if not file.url.isascii():
                _refuse_unless_utf8(file.url)
            if left_out(file.url):
                continue
            empty = False
            yield file
    except (OSError, ValueError, ImportError) as error:
        # Behind a file that was found, it is none that was listed: what follows it must not go without a word.
        if not empty or not isinstance(error, FileNotFoundError):
            raise NotListed(f"'{pattern}' cannot be listed: {error}") from error
    if empty:
        raise NoMatch(f"'{pattern}' matches no file")


def match(patterns: Iterable[str], *, left_out: Callable[[str], bool] = _NOT_LEFT_OUT) -> Iterator[Input]:
    """The files of several patterns in the order of the patterns, each file once. Raises what `expand` raises."""
    several = list(patterns)
    seen: set[str] = set()
    for number, pattern in enumerate(several, 1):
        for file in expand(pattern, left_out=left_out):
            if file.url not in seen:
                if number < len(several):
                    seen.add(file.url)
                yield file


def _refuse_unless_utf8(url: str) -> None:
    """Raises NotListed: a file is there, and whoever waits for one must not take it for none."""
    try:
        url.encode()
    except UnicodeEncodeError as error:
        raise NotListed(f"the name of the file {url!r} is not UTF-8; rename it") from error


def _found(store: Store, pattern: str) -> Iterator[Input]:
    if store.is_local:
        pattern = local.canonical(store.local_path(pattern))
    folder, parts = _resolved(store, pattern)
    if parts:
        yield from store.find(folder, Pattern(parts, lambda path: exists(join(folder, path))))
        return
    try:
        file = store.info(folder)
    except IsADirectoryError:
        yield from store.find(folder, Pattern(["*"]))
    else:
        yield file


def _resolved(store: Store, pattern: str) -> tuple[str, list[str]]:
    """The folder up to the first wildcard, and the parts of the pattern from there; none for a plain name."""
    parts = pattern.rstrip("/").split("/")
    # What stands before a URL's path is not a part of it.
    first = 3 if "://" in pattern and not store.is_local else 1
    for at in range(first, len(parts)):
        if not is_magic(parts[at]):
            continue
        here = "/".join(parts[: at + 1])
        last = at == len(parts) - 1
        # A file whose name holds an asterisk is among what that name matches as a pattern.
        literal = exists(here) if last and "*" not in parts[at] else store.is_directory(here)
        if not literal:
            return "/".join(parts[:at]) or "/", parts[at:]
    return pattern, []
