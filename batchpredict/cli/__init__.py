"""The `batchpredict` command."""

from batchpredict.cli.main import main

__all__ = ["main"]
