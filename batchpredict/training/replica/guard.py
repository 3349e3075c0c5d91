"""The guard of one user process: sees to it that all that the process ever started is gone when it has to be.

    host ── guard ── user process ── whatever it starts
      stdin│ └─> report

A small process between the two, started as a file by a bare interpreter: it has one thread, imports nothing but the
standard library, and runs none of the user's code, so it answers whatever state the others are in.

* When its stdin ends, or its parent is another process, the host is dead, however it died: everything is killed.
* When the time is over that the host gave it last, the host hangs: everything is killed.
* When the user process ends, whatever that left behind is killed.
* Processes that left the group and the session are found too: the guard adopts every orphan below it
  (PR_SET_CHILD_SUBREAPER), and ends only when it has no child any more.
* If the guard itself is killed, the kernel kills the user process (PR_SET_PDEATHSIG).

Its stdin takes JSON lines. The first is its charge: `command`, `cwd`, and the handles `stdout`, `stderr`, `report`.
Then {"end": seconds until SIGTERM is followed by SIGKILL}, {"within": seconds until
everything is killed unless the host has said so again; null for never}. Its report says JSON lines: {"pid": of the
user process}, {"error": why it could not be started}, and at the end {"status": as `subprocess` has it}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import time
from typing import Any

_PDEATHSIG = 1
_CHILD_SUBREAPER = 36
# Between two rounds of killing what is left.
_ROUND_SECONDS = 0.01
# Between two looks at who the parent is, for when somebody else holds the other end of stdin open.
_PARENT_SECONDS = 1.0
# A training program is the first that the kernel takes when memory is short.
_OOM_SCORE = "500"


def main() -> None:
    """Entry point."""
    # Not as an argument, of which the kernel takes 128 KiB at most.
    first = b""
    while b"\n" not in first:
        data = os.read(0, 65536)
        if not data:
            return
        first += data
    line, _, pending = first.partition(b"\n")
    charge = json.loads(line)
    report = charge["report"]
    os.set_inheritable(report, False)
    _prctl(_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever stops the host lets the host say what is to become of the program.
        signal.signal(number, signal.SIG_IGN)
    waker, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _noted)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    pid = _start(charge, report)
    for handle in {charge["stdout"], charge["stderr"]}:
        os.close(handle)
    _say(report, pid=pid)
    status = _Watch(pid, waker, pending).run()
    left = _end_all(pid)
    _say(report, status=left if status is None else status)


def _noted(number: int, frame: object) -> None:
    """For a signal that only has to wake `select`."""
    del number, frame


def _start(charge: dict[str, Any], report: int) -> int:
    guard = os.getpid()
    executed, executing = os.pipe()
    pid = os.fork()
    if pid:
        # The other end closes when the command is executed: only then is there a group that can be sent a signal.
        os.close(executing)
        os.read(executed, 1)
        os.close(executed)
        return pid
    try:
        os.setsid()
        _prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        # Python ignores the last two, and whatever it executes would too.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(_OOM_SCORE)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(charge["stdout"], 1)
        os.dup2(charge["stderr"], 2)
        for handle in {charge["stdout"], charge["stderr"]}:
            if handle > 2:
                os.close(handle)
        os.chdir(charge["cwd"])
        os.execvp(charge["command"][0], charge["command"])
    except OSError as error:
        _say(report, error=str(error))
    finally:
        os._exit(127)


class _Watch:
    """Waits for the end of the user process, or for a reason to end it."""

    def __init__(self, pid: int, waker: int, pending: bytes) -> None:
        self._pid = pid
        self._waker = waker
        self._parent = os.getppid()
        self._kill_at: float | None = None
        self._until: float | None = None
        self._pending = pending

    def run(self) -> int | None:
        """The status of the user process; None if it has to be killed."""
        self._obey(b"")
        while True:
            seconds = [at - _clock() for at in (self._kill_at, self._until) if at is not None]
            wait = max(min([_PARENT_SECONDS, *seconds]), 0.0)
            ready, _, _ = select.select([0, self._waker], [], [], wait)
            if self._waker in ready:
                os.read(self._waker, 4096)
                status = self._reaped()
                if status is not None:
                    return status
            if any(at is not None and _clock() >= at for at in (self._kill_at, self._until)):
                return None
            if os.getppid() != self._parent or (0 in ready and not self._told()):
                return None

    def _reaped(self) -> int | None:
        """Bury whoever died; the status of the user process, if it did."""
        while True:
            try:
                dead, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if dead == self._pid:
                return os.waitstatus_to_exitcode(status)
            if dead == 0:
                return None

    def _told(self) -> bool:
        """Do what the host says; False if there is no host any more."""
        data = os.read(0, 65536)
        self._obey(data)
        return bool(data)

    def _obey(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "within" in said:
                self._until = None if said["within"] is None else _clock() + said["within"]
            if "end" in said and self._kill_at is None:
                self._kill_at = _clock() + said["end"]
                with contextlib.suppress(OSError):
                    os.killpg(self._pid, signal.SIGTERM)
            elif "end" in said:
                self._kill_at = min(self._kill_at or 0.0, _clock() + said["end"])


def _end_all(pid: int) -> int:
    """Kill all that is below this process until nothing is. The status of `pid`, if it was there still."""
    found = -signal.SIGKILL
    while True:
        try:
            dead, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if dead == pid:
            found = os.waitstatus_to_exitcode(status)
        if dead:
            continue
        if not os.path.isdir("/proc"):
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        for one in below(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        time.sleep(_ROUND_SECONDS)


def below(pid: int) -> list[int]:
    """All descendants of a process, as far as they are there now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                # The name of the program, in parentheses, may hold anything.
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    open_ = [pid]
    while open_:
        for child in children.get(open_.pop(), []):
            found.append(child)
            open_.append(child)
    return found


def _clock() -> float:
    """Seconds that pass also while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _say(report: int, **fields: object) -> None:
    with contextlib.suppress(OSError):
        os.write(report, json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    main()
