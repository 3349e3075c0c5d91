"""A launcher of small programs, and a host of a gang: `-m training.gang.local FOLDER HOST ROOM SHAPE PROGRAM`.

A replica runs `python -c PROGRAM`, with REPLICA, ATTEMPT, ADDRESSES and the folder HERE in its environment. Each
writes a line to HERE/started as it starts.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from training.gang.schedules import Cluster

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang.folder import FolderRendezvous
from batchpredict.training.gang.gang import Gang
from batchpredict.training.gang.rules import Rules

# A lease of two seconds, and all else in proportion.
FAST = Rules(
    beat=0.3,
    lease=2.0,
    end_grace=1.0,
    slack=0.5,
    worker_grace=2.0,
    deadline=20.0,
    poll=0.2,
    linger=0.5,
    early=0.3,
    restart_pause=0.1,
    patience=20.0,
)

_PR_SET_PDEATHSIG = 1


class LocalProcess:
    """A process group on this machine."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        libc = ctypes.CDLL(None)
        self._process = subprocess.Popen(
            command,
            env=dict(env),
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self._lines += [line.decode().rstrip("\n") for line in stream]

    def poll(self) -> int | None:
        return self._process.poll()

    def end(self, grace_seconds: float) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def keep(self, seconds: float) -> None:
        """There is no guard."""

    def tail(self) -> list[str]:
        return self._lines[-20:]


class LocalLauncher:
    """Starts a program for each replica, which says so in a file."""

    def __init__(self, folder: str, program: str, python: Sequence[str] = (sys.executable, "-S", "-c")) -> None:
        self.folder = folder
        self._command = [*python, program]

    def bind(self, replica: Replica) -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return f"127.0.0.1:{server.getsockname()[1]}"

    def start(self, replica: Replica, addresses: Mapping[Replica, str], attempt: int) -> LocalProcess:
        env = {
            **os.environ,
            "REPLICA": replica.name,
            "ATTEMPT": str(attempt),
            "ADDRESSES": json.dumps({one.name: address for one, address in addresses.items()}),
            "HERE": self.folder,
        }
        with open(os.path.join(self.folder, "started"), "a") as file:
            file.write(f"{replica.name} {attempt} {len(addresses)} {time.time()}\n")
        return LocalProcess(self._command, env)

    def started(self) -> list[tuple[str, int, int, float]]:
        """The name of each replica that was started, its attempt, the addresses it got, and the time."""
        with open(os.path.join(self.folder, "started")) as file:
            lines = [line.split() for line in file]
        return [(name, int(attempt), int(addresses), float(at)) for name, attempt, addresses, at in lines]


def main() -> None:
    folder, host, room, shape, program = sys.argv[1:]
    cluster = Cluster.of({Role(role): count for role, count in json.loads(shape).items()})
    gang = Gang(
        FolderRendezvous(f"{folder}/gang"), cluster, host, int(room), LocalLauncher(folder, program), rules=FAST
    )
    outcome = gang.run()
    assert outcome is not None
    print(outcome.ending.value, outcome.restarts, outcome.reason, flush=True)


if __name__ == "__main__":
    main()
