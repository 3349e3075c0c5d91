"""A reader of the pages, who runs the examples one after the other in a folder with `testdata/` in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import support
from pages import README, Printed, Run, Write, blocks
from servers import Substitutions, substituted

from batchpredict import storage

# Differs from run to run, so only its type is compared.
_UNSTABLE = frozenset({"nodeHours", "createTime", "startTime", "endTime", "etag"})

# What the pages call the reader's folder.
_HOME = "/home/me"


class Reader:
    """Somebody with a folder that is not the checkout; the README's main command has run in it.

    Args:
      folder: an empty one.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.symlink(support.TESTDATA, os.path.join(folder, "testdata"))

    def begin(self, substitutions: Substitutions) -> None:
        """Run the README's main command, and write its files: the pages go on from there."""
        for block in blocks(README):
            if isinstance(block, Write) or (isinstance(block, Run) and block.is_main):
                self.do(block, substitutions)

    def read(self, page: str, server: str, substitutions: Substitutions) -> None:
        """Do what a page says, as far as it needs that server."""
        printed: str | None = None
        for block in blocks(page):
            if isinstance(block, Printed):
                if printed is not None:
                    compare(printed, block, {**substitutions, _HOME: self.folder})
                continue
            printed = None
            if isinstance(block, Write) or (isinstance(block, Run) and block.server == server):
                printed = self.do(block, substitutions)

    def do(self, block: Write | Run, substitutions: Substitutions) -> str:
        """Write the file, or run it; what was printed."""
        text = substituted(block.text, substitutions)
        if isinstance(block, Write):
            target = substituted(block.name, substitutions)
            if "://" not in target:
                storage.replace_bytes(os.path.join(self.folder, target), text.encode())
            elif target != block.name:
                storage.replace_bytes(target, text.encode())
            return ""
        found = subprocess.run(
            _command(block.program, text),
            cwd=self.folder,
            env={**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{block.place} ended with {found.returncode}:\n{text}\n{found.stdout}\n{found.stderr}"
        assert found.returncode == block.status, said
        assert "Traceback" not in found.stderr, said
        return found.stdout + found.stderr if block.status else found.stdout


def _command(program: str, text: str) -> list[str]:
    return [sys.executable, "-c", text] if program == "python" else ["bash", "-euo", "pipefail", "-c", text]


def compare(printed: str, block: Printed, substitutions: Substitutions) -> None:
    """Fail unless a command printed what the page shows.

    Of JSON the values are compared; of text the lines, where a line of `…` stands for any number of them.
    """
    said = f"{block.place} does not show what was printed:\n{printed}"
    shown = substituted(block.text, substitutions)
    if block.language == "json":
        assert _stable(_values(printed)) == _stable(_values(shown)), said
    else:
        lines = [".*" if line.strip() == "…" else re.escape(line.rstrip()) for line in shown.splitlines()]
        found = "\n".join(line.rstrip() for line in printed.splitlines())
        assert re.fullmatch("\n".join(lines), found, re.DOTALL), said


def _values(text: str) -> Sequence[Any]:
    """One JSON document, or a line for each of several."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: type(item) if name in _UNSTABLE else _stable(item) for name, item in value.items()}
    return [_stable(item) for item in value] if isinstance(value, list) else value
