"""`batchpredict serve`: the jobs service in this process, until it is told to stop."""

from __future__ import annotations

import argparse
import os
import sys

from batchpredict.errors import BatchPredictError, WrongCall
from batchpredict.launch import FAILED, SUCCEEDED, status_of

_PROGRAM = "batchpredict serve"
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
        print(f"{_PROGRAM}: the settings are right", file=sys.stderr)
        return SUCCEEDED
    if options.migrate:
        from batchpredict.service import migrate

        migrate(settings.database_url)
        print(f"{_PROGRAM}: the database has the schema of this version", file=sys.stderr)
        return SUCCEEDED
    from batchpredict.service import run

    run(settings)
    return SUCCEEDED


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
