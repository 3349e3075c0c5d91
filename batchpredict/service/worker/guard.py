"""The guard of one job process: sees to it that all that the job ever started is gone when it has to be.

    worker process ── guard ── job process ── TensorFlow workers, and whatever else
                  stdin│ └─> stdout

One small process for each job, between the worker and the job process. It has one thread, imports next to
nothing, and runs none of the job's code, so it answers whatever state the job and the worker are in:

* When its stdin ends, the worker is dead, however it died: everything is killed.
* When the time is over that the worker gave it last, the lease may be another worker's: everything is killed, also
  where the worker hangs, or was stopped by a signal.
* When the job process ends, whatever that left behind is killed.
* Processes that left the group and the session are found too: the guard adopts every orphan below it
  (PR_SET_CHILD_SUBREAPER), and ends only when it has no child any more.

If the guard itself is killed, the kernel kills the job process (PR_SET_PDEATHSIG), and the worker, or the next one
that starts on this machine, kills what carries the run's mark in its environment; see `leftovers`.

Its stdin takes JSON lines: {"until": seconds of `clock`}, {"stop": true}, {"kill": true}, {"job": name}. Its stdout
says one, {"how": sentence}, at its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from batchpredict.service.prctl import CHILD_SUBREAPER, PDEATHSIG, prctl
from batchpredict.service.worker.clock import clock

# Between two rounds of killing what is left.
_ROUND_SECONDS = 0.01
# A job is the first that the kernel takes when memory is short, not the service.
_OOM_SCORE = "500"


@dataclass(frozen=True)
class Charge:
    """What a guard is started with, as JSON in its only argument.

    Attributes:
      command: of the job process.
      order, stdout, stderr: file descriptors that become its stdin, stdout and stderr.
      passed: file descriptors that it inherits as they are.
      folder: its working directory.
      umask: of its files.
      user: id of the user that it runs as; None for the guard's own. `group`, `groups`: with it.
      memory: most bytes of address space of each of its processes; None for no limit.
      history: file to which starts and ends are appended.
      name: of the run, for that file.
    """

    command: list[str]
    order: int
    stdout: int
    stderr: int
    passed: list[int]
    folder: str
    history: str
    name: str
    umask: int = 0o022
    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None
    memory: int | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    """Entry point: the charge is the only argument."""
    charge = Charge(**json.loads(sys.argv[1]))
    prctl(CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever stops the service stops the worker, which then says what is to become of the job.
        signal.signal(number, signal.SIG_IGN)
    waker, wake = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _noted)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    history = _History(charge)
    try:
        process = _start(charge)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _say(f"it could not be started: {error}")
        return
    for handle in {charge.order, charge.stdout, charge.stderr, *charge.passed}:
        os.close(handle)
    history.write("start", pid=process.pid)
    how = _watch(process.pid, waker, history)
    _end_all()
    history.write("end", pid=process.pid, how=how)
    _say(how)


def _noted(number: int, frame: object) -> None:
    """For a signal that only has to wake `select`."""
    del number, frame


def _start(charge: Charge) -> subprocess.Popen[bytes]:
    guard = os.getpid()

    def prepare() -> None:
        # After the change of user, which would undo it.
        prctl(PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(_OOM_SCORE)
        if charge.memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (charge.memory, charge.memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return subprocess.Popen(
        charge.command,
        stdin=charge.order,
        stdout=charge.stdout,
        stderr=charge.stderr,
        pass_fds=charge.passed,
        cwd=charge.folder,
        umask=charge.umask,
        user=charge.user,
        group=charge.group,
        extra_groups=charge.groups,
        start_new_session=True,
        preexec_fn=prepare,
    )


def _watch(pid: int, waker: int, history: _History) -> str:
    """Wait for the end of the job process, or for a reason to end it; how or why, as part of a sentence."""
    until = None
    pending = b""
    while True:
        seconds = None if until is None else max(until - clock(), 0.0)
        ready, _, _ = select.select([0, waker], [], [], seconds)
        if waker in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(waker, 4096)
            how = _reaped(pid)
            if how is not None:
                return how
        if until is not None and clock() >= until:
            return "its lease was not renewed in time"
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            return "its worker is gone"
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if "until" in said:
                until = float(said["until"])
            if "job" in said:
                history.name = said["job"]
                history.write("job", pid=pid)
            if said.get("stop"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if said.get("kill"):
                return "it was killed"


def _reaped(pid: int) -> str | None:
    """Bury whoever died; how the job process ended, if it did."""
    while True:
        try:
            dead, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return "it ended"
        if dead == 0:
            return None
        if dead == pid:
            return _worded(status)


def _end_all() -> None:
    """Kill all that is below this process until nothing is."""
    while True:
        try:
            dead, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if dead:
            continue
        for one in _below(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)
        time.sleep(_ROUND_SECONDS)


def _below(pid: int) -> list[int]:
    """All descendants of a process, as far as they are there now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
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


def _worded(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it ended with status {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"


def _say(how: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps({"how": how}).encode() + b"\n")


class _History:
    """Lines of a file that several processes append to."""

    def __init__(self, charge: Charge) -> None:
        self._path = charge.history
        self.name = charge.name

    def write(self, what: str, **fields: object) -> None:
        line = {"at": time.time(), "clock": clock(), "what": what, "run": self.name, "guard": os.getpid(), **fields}
        # What it is for is not worth a job.
        with contextlib.suppress(OSError), open(self._path, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main()
