"""How the ledger reads and writes an output folder: an OSError becomes one sentence, here and nowhere else.

A read is tried again when the store or the network may only have been out of reach for a moment. The clients of
object stores do that too, but not for every answer, and file systems on a network do not do it at all. A write is
not: its answer may be all that was lost, and whether it may be repeated is known to whoever writes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from batchpredict import storage
from batchpredict.errors import JobFailed, OutputRefused

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

# Moving a file in an object store is a copy, all latency; on a local disk one at a time is as fast.
_MOVERS = 16


def reading(
    output_path: str,
    step: Callable[_Arguments, _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """What `step` returns for the arguments; it must be a read, because it is repeated, and hold no
    `reading` itself.

    Raises:
      FileNotFoundError: what is to be read is not there, which is an answer.
      OutputRefused: it cannot be read, for good or several times in a row.
    """
    try:
        return storage.again(lambda: step(*arguments, **named))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(output_path, error) from error


def _unreadable(output_path: str, error: OSError) -> OutputRefused:
    return OutputRefused(f"outputPath: cannot read '{output_path}': {error}")


def read_lines(output_path: str, url: str, offset: int) -> Iterator[bytes]:
    """The lines of a file from a byte on, as they are read; an interruption is gone on from.

    Raises: what `reading` raises.
    """
    try:
        yield from storage.lines_of(url, offset)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(output_path, error) from error


def each(place: str, step: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
    """What a step makes of each item, of many at a time where the place that they are about is on a store."""
    if storage.is_local(place):
        return [step(item) for item in items]
    with ThreadPoolExecutor(_MOVERS) as pool:
        return list(pool.map(step, items))


@contextlib.contextmanager
def writing(output_path: str) -> Iterator[None]:
    """Steps that change the folder.

    Raises:
      OutputRefused: an OSError was raised within.
    """
    try:
        yield
    except OSError as error:
        raise OutputRefused(f"outputPath: cannot write to '{output_path}': {error}") from error


@contextlib.contextmanager
def spooling() -> Iterator[None]:
    """Steps that keep what they make in temporary files of this machine.

    Raises:
      JobFailed: an OSError was raised within.
    """
    try:
        yield
    except OSError as error:
        raise JobFailed(
            f"Temporary files cannot be written to '{tempfile.gettempdir()}': {error}. Make room there, or name "
            "another folder in TMPDIR."
        ) from error
