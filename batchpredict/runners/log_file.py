"""What a runner says at length goes to a file, and a sentence about a failure names it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import traceback

from batchpredict.errors import BatchPredictError, from_document

# What Python wrote at the end of a traceback, and Java at the end of a chain of causes.
_OURS = re.compile(r"batchpredict\.errors\.(\w+): (.+?)(?: \[while running|\\n|$)", re.MULTILINE)
_PYTHON = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Interrupt)): (.+?)(?: \[while running .*)?$", re.MULTILINE)
_JAVA = re.compile(r"Caused by: (?:[\w$]+\.)*([\w$]+)(?:: (.+))?$", re.MULTILINE)
# Of a line that is quoted.
_LONGEST = 300


class LogFile:
    """A file for what is too long for a message. Made when there is something to write; safe from any thread."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._lock = threading.Lock()

    @property
    def path(self) -> str:
        """Its path; the file is there from now on."""
        with self._lock:
            if self._path is None:
                handle, self._path = tempfile.mkstemp(prefix="batchpredict-", suffix=".log")
                os.close(handle)
            return self._path

    def write(self, text: str) -> None:
        with open(self.path, "a", errors="replace") as file:
            file.write(text.rstrip("\n") + "\n")

    def write_error(self, error: BaseException) -> None:
        self.write("".join(traceback.format_exception(error)))

    def remove(self) -> None:
        """Nobody needs it: the job has succeeded, or its failure has been said in full."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.remove(self._path)


def told_by(text: str) -> BatchPredictError | None:
    """The error of ours that a runner quotes in a message of its own."""
    found = _OURS.search(text)
    return found and from_document({"error": found[1], "message": found[2]})


def summary_line(text: str) -> str:
    """The line of a long message that says most: the last error of a traceback, or the innermost cause."""
    patterns = (_PYTHON, _JAVA) if "Traceback (most recent call last)" in text else (_JAVA, _PYTHON)
    for pattern in patterns:
        found = pattern.findall(text)
        if found:
            kind, reason = found[-1]
            return f"{kind}: {reason}"[:_LONGEST] if reason else kind
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else "it does not say why"
