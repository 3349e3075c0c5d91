"""`batchpredict serve`: the jobs service in this process, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from urllib.parse import urlsplit

from batchpredict.errors import BatchPredictError, WrongCall
from batchpredict.launch import FAILED, SUCCEEDED, status_of

_PROGRAM = "batchpredict serve"
_LOG = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# The flags of this command that are no settings.
_OTHERS = ("command", "beam_flags", "config", "check", "migrate", "new_token")


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status."""
    try:
        if options.new_token is not None:
            return _new_token(options.new_token)
        return _serve(options)
    except BatchPredictError as error:
        for line in str(error).splitlines():
            print(f"{_PROGRAM}: {line}", file=sys.stderr)
        return status_of(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "batchpredict"):
            raise
        print(f"{_PROGRAM}: the package '{package}' is missing; pip install 'batchpredict[serve]'", file=sys.stderr)
        return FAILED


def _serve(options: argparse.Namespace) -> int:
    from batchpredict.service import read

    flags = {name: value for name, value in vars(options).items() if name not in _OTHERS}
    settings = read(flags, os.environ, options.config)
    if options.check:
        from batchpredict.service import check

        check(settings)
        print(f"{_PROGRAM}: the settings are right", file=sys.stderr)
        return SUCCEEDED
    if options.migrate:
        from batchpredict.service import migrate

        migrate(settings.database_url)
        print(f"{_PROGRAM}: the database has the schema of this version", file=sys.stderr)
        return SUCCEEDED
    from batchpredict.service import run

    _begin_log()
    database = _shown(settings.database_url)

    def announce(text: str) -> None:
        print(f"{_PROGRAM}: {text}, database {database}", file=sys.stderr, flush=True)

    run(settings, announce)
    print(f"{_PROGRAM}: stopped; jobs that were running go on when it is started again", file=sys.stderr)
    return SUCCEEDED


def _begin_log() -> None:
    """The service's own log, on stderr, as whoever keeps the logs of a machine takes it."""
    level = logging.DEBUG if os.environ.get("BATCHPREDICT_DEBUG") else logging.INFO
    logging.basicConfig(level=logging.WARNING, format=_LOG)
    logging.getLogger("batchpredict").setLevel(level)


def _shown(url: str) -> str:
    """A database without whose it is and without its password."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return parts.path.removeprefix("/")
    return f"{parts.scheme.partition('+')[0]}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _new_token(member: str) -> int:
    from batchpredict.service import member_fault, new_token, sha256_of

    fault = member_fault(member)
    if fault or not member.startswith(("user:", "serviceAccount:")):
        fault = fault or "a token is of one user:… or serviceAccount:…"
        raise WrongCall(f"--new-token: '{member}': {fault}")
    token = new_token()
    print(f"# The token, shown this once. Clients send it, from BATCHPREDICT_TOKEN: {token}")
    print(f'[[access.tokens]]\nmember = "{member}"\nsha256 = "{sha256_of(token)}"')
    return SUCCEEDED
