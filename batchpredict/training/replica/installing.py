"""Processes that install or build: run to their end, stopped when they are not wanted any more."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchpredict.errors import JobCancelled
from batchpredict.training.replica.child import Child

Log = Callable[[str], None]
Wanted = Callable[[], bool]

_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 2.0
_KEPT_LINES = 2000
# What the line that matters begins with: pip's, uv's, and that of uv before it.
_FAULTS = ("ERROR:", "cause:", "╰─▶")
# What pip says there of an error that it did not expect: the traceback's last line says which.
_UNEXPECTED = "Exception:"
# What pip says below the line that matters.
_ASIDES = ("note:", "hint:", "[notice]", "╰─>", "[end of output]", "WARNING:")
# pip's, which would contradict what it is told here.
_NOT_PASSED = ("PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_ROOT")


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it wrote last."""

    status: int
    lines: tuple[str, ...]

    @property
    def reason(self) -> str:
        """The line that says what went wrong."""
        said = [line.strip() for line in self.lines if line.strip() and not line.strip().startswith(_ASIDES)]
        faults = [line.removeprefix(mark) for line in said for mark in _FAULTS if line.startswith(mark)]
        if faults and faults[-1].strip() == _UNEXPECTED:
            faults = []
        last = (faults or said or [f"it ended with status {self.status}"])[-1]
        return last.strip().rstrip(".")


def run(command: Sequence[str], cwd: str, wanted: Wanted) -> Ended:
    """Run a process to its end.

    Raises:
      JobCancelled: it is not wanted any more; it has been ended.
    """
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    env = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    child = Child.start(command, env, cwd, lambda _, line: lines.append(line))
    try:
        while child.wait(_LOOK_SECONDS) is None:
            if not wanted():
                raise JobCancelled("The job was cancelled.")
    finally:
        if child.poll() is None:
            child.end(_GRACE_SECONDS)
    return Ended(child.poll() or 0, tuple(lines))


def install(items: Sequence[str], site: str, log: Log, wanted: Wanted) -> str | None:
    """Install files or requirements into a folder, without what they need. The reason if that fails.

    By uv if it is there, else by pip. Neither is let at `site` itself: where both have a folder of one name, as
    namespace packages do, pip would replace the one by the other.
    """
    tool = _tool()
    if tool is None:
        return "neither uv nor pip is there to install it"
    with tempfile.TemporaryDirectory(dir=os.path.dirname(site)) as target:
        ended = run([*tool, "--no-deps", "--target", target, *items], os.path.dirname(site), wanted)
        for line in ended.lines:
            log(line)
        if ended.status:
            return ended.reason
        shutil.copytree(target, site, dirs_exist_ok=True)
    return None


def _tool() -> list[str] | None:
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--no-progress", "--python", sys.executable]
    if importlib.util.find_spec("pip") is None:
        return None
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-warn-script-location"]
    return [sys.executable, "-m", "pip", "install", *quiet]
