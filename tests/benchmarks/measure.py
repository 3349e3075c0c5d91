"""Time and memory of a program that runs in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import IO, Any

import psutil

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Seconds between two looks at the memory of a tree of processes.
_SAMPLE_SECONDS = 0.05
# Nothing here takes ten minutes; what does hangs.
_HUNG_SECONDS = 600.0
_TAIL_BYTES = 1500
# Starts differ by half a second from one to the next; a slope over less than this says nothing.
_SLOPE_SECONDS = 1.0


class BenchmarkFailed(Exception):
    """A measured program failed, hung or counted wrong."""


@dataclass(frozen=True)
class Finished:
    """A program that ended well.

    Attributes:
      seconds: from before its process was started until it was gone.
      said: the JSON object that it printed as its last line.
      tree_bytes: peak of the resident memory of all its processes together; 0 if it was not watched.
      process_bytes: peak of its largest process.
    """

    seconds: float
    said: dict[str, Any]
    tree_bytes: int = 0
    process_bytes: int = 0


def command(module: str, argument: dict[str, Any]) -> list[str]:
    """A command line that calls `main` of one of these modules, imported, as pickled functions need it."""
    return [sys.executable, "-c", f"from {module} import main; main()", json.dumps(argument)]


def environment() -> dict[str, str]:
    """The environment of a measured program: this one, quiet, with the package and the benchmarks on its path."""
    path = os.pathsep.join(part for part in (ROOT, HERE, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}


def run(module: str, argument: dict[str, Any], *, watch_memory: bool = False) -> Finished:
    """Run a module's `main` to its end.

    Raises:
      BenchmarkFailed: it ended with an error, printed no object, or did not end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = start(module, argument, out, err)
        try:
            tree, largest = _watch(process) if watch_memory else _wait(process)
            seconds = time.perf_counter() - started
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed(f"{module} did not end in {_HUNG_SECONDS:.0f} s: {_tail(err)}") from None
        finally:
            kill_tree(process)
        if process.returncode:
            raise BenchmarkFailed(f"{module} ended with {process.returncode}: {_tail(err)}")
        return Finished(seconds, _last_object(module, out), tree, largest)


def start(module: str, argument: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a module's `main` and do not wait."""
    return subprocess.Popen(
        command(module, argument), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment()
    )


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    process.wait(_HUNG_SECONDS)
    return 0, 0


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    deadline = time.monotonic() + _HUNG_SECONDS
    root = psutil.Process(process.pid)
    tree = largest = 0
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, _HUNG_SECONDS)
        sizes = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    sizes.append(one.memory_info().rss)
        tree = max(tree, sum(sizes))
        largest = max(largest, *sizes, 0)
        time.sleep(_SAMPLE_SECONDS)
    return tree, largest


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a program that is still there, and all that it has started."""
    if process.poll() is not None:
        return
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    psutil.wait_procs(family, timeout=10)


def _last_object(module: str, out: IO[bytes]) -> dict[str, Any]:
    out.seek(0)
    lines = out.read().splitlines()
    try:
        said: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise BenchmarkFailed(f"{module} printed no JSON object as its last line") from None
    return said


def _tail(file: IO[bytes]) -> str:
    file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
    return file.read().decode("utf-8", "replace")


def chosen(names: Collection[str], what: str) -> Callable[[str], list[str]]:
    """The type of an option that takes some of these names, with commas between them. `what`: one of them is."""

    def read(text: str) -> list[str]:
        found = text.split(",")
        unknown = sorted(set(found) - set(names))
        if unknown:
            raise argparse.ArgumentTypeError(f"no {what} {', '.join(unknown)}; there are {', '.join(names)}")
        return found

    return read


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def rate(seconds_of: Callable[[int], float], small: int, large: int, repeats: int) -> float:
    """Records per second of the steady state: the slope between jobs of two sizes, which leaves the start out.

    Args:
      seconds_of: runs a job of so many records and says how long it took.
      small, large: the two sizes.
      repeats: times that each is run, by turns, so that a slow minute of the machine meets both.

    Returns:
      The rate; nan if the jobs are too small to tell their times apart.
    """
    pairs = [(seconds_of(small), seconds_of(large)) for _ in range(repeats)]
    seconds = median([pair[1] for pair in pairs]) - median([pair[0] for pair in pairs])
    return (large - small) / seconds if seconds >= _SLOPE_SECONDS else math.nan
