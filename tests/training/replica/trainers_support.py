"""The training programs of testdata, run as a cluster on this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence

import support

from batchpredict.training.cluster import MACHINE_TYPES, Cluster, Replica
from batchpredict.training.replica import Child, Program, build_package, environment, install, working_folder

TRAINERS = os.path.join(support.ROOT, "testdata", "trainers")
DIGITS = os.path.join(support.ROOT, "testdata", "digits")


class Local:
    """Replicas of one program on this machine. Their lines are kept, and put out for whoever reads a failure."""

    def __init__(self, folder: str, trainer: str, names: Sequence[str], args: Sequence[str]) -> None:
        package = build_package(os.path.join(TRAINERS, trainer, "trainer"), os.path.join(folder, "packages"))
        self._folder = folder
        self._installed = install([package], os.path.join(folder, "job"), print)
        self._program = Program("trainer.task", tuple(args), os.path.join(folder, "out"))
        replicas = tuple(sorted(map(Replica.parse, names)))
        machine = MACHINE_TYPES.find("standard")
        assert machine is not None
        self._cluster = Cluster(replicas, {one.role: machine for one in replicas}, "chief")
        self._addresses = {one: f"127.0.0.1:{free_port()}" for one in replicas}
        self.lines: dict[str, list[str]] = {name: [] for name in names}
        self.children: dict[str, Child] = {}

    def start(self, name: str, metric_file: str | None = None) -> Child:
        replica = Replica.parse(name)
        config = self._cluster.tf_config(replica, self._addresses, job={})
        env = environment(os.environ, site=self._installed.path, tf_config=config, metric_file=metric_file)

        def on_line(stream: str, line: str) -> None:
            print(f"{name} {stream}: {line}")
            self.lines[name].append(line)

        command = self._program.command(sys.executable, {})
        self.children[name] = Child.start(command, env, working_folder(self._folder, replica), on_line)
        return self.children[name]

    def start_all(self) -> None:
        for name in self.lines:
            self.start(name)

    def said(self, name: str, text: str) -> bool:
        return any(text in line for line in self.lines[name])

    def end(self) -> None:
        for child in self.children.values():
            child.end(1, wait=False)
        for child in self.children.values():
            child.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
