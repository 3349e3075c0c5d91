"""What the clients of object stores raise, as the OSError that everybody who handles files expects."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, ParamSpec, TypeVar, cast

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Packages whose exceptions say that a store could not be reached, refused, or broke off. gcsfs' HttpError and
# those of google.auth and aiohttp are no OSErrors.
_CLIENTS = frozenset(
    ("gcsfs", "google", "aiohttp", "s3fs", "botocore", "aiobotocore", "adlfs", "azure", "fsspec", "asyncio")
)


@contextmanager
def os_errors() -> Iterator[None]:
    """Raise what a client raises as OSError, with its words."""
    try:
        yield
    except OSError as error:
        if "\n" not in str(error):
            raise
        # What the store said, on a line of its own.
        raise type(error)(_one_line(error)) from error
    except ValueError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _CLIENTS:
            raise
        raise OSError(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return ": ".join(line for line in lines if line) or type(error).__name__


def with_os_errors(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function whose clients' errors are OSErrors."""

    @functools.wraps(function)
    def wrapped(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        with os_errors():
            return function(*arguments, **named)

    return wrapped


class _Wrapped:
    """A file whose methods raise OSErrors."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._file, name)
        return with_os_errors(value) if callable(value) else value

    def __enter__(self) -> _Wrapped:
        return self

    def __exit__(self, *failure: object) -> None:
        with os_errors():
            self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        lines = iter(self._file)
        while True:
            with os_errors():
                line = next(lines, None)
            if line is None:
                return
            yield line


def file_with_os_errors(file: Any) -> IO[bytes]:
    """A file of a client, whose errors are OSErrors from here on."""
    return cast("IO[bytes]", _Wrapped(file))
