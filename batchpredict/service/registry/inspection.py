"""What a SavedModel says of itself, found out by a process of its own; see `inspector`."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from batchpredict.errors import ModelUnusable
from batchpredict.service.environment import passed_on

# TensorFlow's import is most of it. A graph of gigabytes on a busy machine takes minutes.
_SECONDS = 900.0
_LOOK = 0.1
# A description is kept in the database, with each version.
_MOST = 4 << 20


def inspect(
    uri: str,
    go_on: Callable[[], None],
    *,
    user: str = "",
    memory: int | None = None,
    program: tuple[str, ...] = ("-m", "batchpredict.service.registry.inspector"),
) -> Mapping[str, Any]:
    """The tags and signatures of a SavedModel: `ModelDescription.to_dict()` of `batchpredict.models`.

    Args:
      uri: its folder.
      go_on: called while this waits; raises to end it.
      user: that the process runs as; "" for the one of this process.
      memory: bytes of its address space; None for no bound.
      program: arguments of the interpreter, before those that name the model and the bound.

    Raises:
      ModelUnusable: it is no SavedModel, or reading it crashes, or takes too much time or memory.
    """
    arguments = [sys.executable, *program, uri, *([] if memory is None else [str(memory)])]
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env=passed_on(os.environ, other_user=bool(user)),
            start_new_session=True,
            user=user or None,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        try:
            end = time.monotonic() + _SECONDS
            while (status := _ended(process)) is None:
                go_on()
                if time.monotonic() > end:
                    raise ModelUnusable(f"The signatures of the model could not be read within {_SECONDS:.0f} s.")
        finally:
            _kill(process)
        if status != 0:
            raise ModelUnusable(f"The signatures of the model could not be read: {_said(status)}.")
        return _read(answer)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_LOOK)
    except subprocess.TimeoutExpired:
        return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _said(status: int) -> str:
    if status < 0:
        return f"the process that read them was ended by {signal.Signals(-status).name}"
    return f"the process that read them ended with status {status}"


def _read(answer: IO[bytes]) -> Mapping[str, Any]:
    answer.seek(0)
    text = answer.read(_MOST + 1)
    if len(text) > _MOST:
        raise ModelUnusable(f"The signatures of the model take more than {_MOST >> 20} MiB to describe.")
    document = json.loads(text)
    if "error" in document:
        raise ModelUnusable(str(document["error"]))
    found: Mapping[str, Any] = document["found"]
    return found
