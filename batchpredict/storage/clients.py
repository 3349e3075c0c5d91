"""What the clients of object stores raise, as the OSError that everybody who handles files expects.

An error is known by its type and by the status that it carries, never by its text: a text holds the names of
objects, and those hold anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, ParamSpec, TypeVar, cast

from batchpredict.storage.lines import lines_in

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

# Packages whose exceptions say that a store could not be reached, refused, or broke off. gcsfs' HttpError and
# those of google.auth and aiohttp are no OSErrors.
_CLIENTS = frozenset(
    ("gcsfs", "google", "aiohttp", "s3fs", "botocore", "aiobotocore", "adlfs", "azure", "fsspec", "asyncio")
)

# https://www.rfc-editor.org/rfc/rfc9110#name-status-codes
CONFLICT = 409
PRECONDITION_FAILED = 412
RANGE_NOT_SATISFIABLE = 416

# Those that Python has a type for.
_TYPES: dict[int, type[OSError]] = {
    401: PermissionError,
    403: PermissionError,
    404: FileNotFoundError,
    PRECONDITION_FAILED: FileExistsError,
}


def status_of(error: BaseException) -> int | None:
    """The HTTP status that a store answered with, as a client's exception or the cause of it carries it.

    None if there was no answer, or the client did not keep its status.
    """
    at: BaseException | None = error
    while at is not None:
        for value in _statuses(at):
            # Some clients keep it as the string that they read.
            number = int(value) if isinstance(value, str) and value.isdecimal() else value
            if isinstance(number, int) and 100 <= number < 600:
                return int(number)
        at = at.__cause__
    return None


def _statuses(error: BaseException) -> Iterator[Any]:
    """Where clients keep the status, the surest place first: others may be something else, or deprecated."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/error-handling.html
        yield response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = response.get("Error", {}).get("Code")
        yield _S3_CODES.get(code, code)
    for name in ("status", "status_code", "code"):
        yield getattr(error, name, None)


# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, for answers that came without a status.
_S3_CODES: dict[Any, int] = {
    "ConditionalRequestConflict": CONFLICT,
    "PreconditionFailed": PRECONDITION_FAILED,
    "InvalidRange": RANGE_NOT_SATISFIABLE,
}


@contextmanager
def os_errors() -> Iterator[None]:
    """Raise what a client raises as OSError: its words on one line, and of the type that its status asks for."""
    try:
        yield
    except OSError as error:
        kind = _TYPES.get(status_of(error) or 0)
        if _builtin(error) is type(error) and _is_line(str(error)) and (kind is None or isinstance(error, kind)):
            raise
        raise _translated(error, kind) from error
    except Exception as error:
        if not _of_client(error):
            raise
        raise _translated(error, _TYPES.get(status_of(error) or 0)) from error


def _translated(error: Exception, kind: type[OSError] | None) -> OSError:
    # The class of a client's own may want other arguments than one text.
    new = (kind or _builtin(error))(one_line(error))
    if isinstance(error, OSError):
        new.errno = error.errno
    return new


def _builtin(error: Exception) -> type[OSError]:
    """The most special of Python's own types that an error has."""
    return next(
        (one for one in type(error).__mro__ if one.__module__ == "builtins" and issubclass(one, OSError)), OSError
    )


def _of_client(error: Exception) -> bool:
    """Whether an exception is a client's: by its type, or, for one of Python's types, by where it was raised.

    gcsfs says some of what a store refuses by a ValueError.
    """
    if _package(type(error).__module__):
        return True
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return isinstance(error, ValueError) and at is not None and _package(at.tb_frame.f_globals.get("__name__", ""))


def _package(module: str) -> bool:
    return module.partition(".")[0] in _CLIENTS


def _is_line(text: str) -> bool:
    return text.splitlines() == [text]


def one_line(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return ": ".join(line for line in lines if line) or type(error).__name__


def with_os_errors(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function whose clients' errors are OSErrors."""

    @functools.wraps(function)
    def wrapped(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        with os_errors():
            return function(*arguments, **named)

    return wrapped


# Bytes of a request where a file is read by the line.
_PIECE = 1 << 20


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
        """Its lines. A client's own iterator asks the store for a block anew for each of them."""
        return lines_in(iter(lambda: self.read(_PIECE), b""))


def file_with_os_errors(file: Any) -> IO[bytes]:
    """A file of a client, whose errors are OSErrors from here on."""
    return cast("IO[bytes]", _Wrapped(file))
