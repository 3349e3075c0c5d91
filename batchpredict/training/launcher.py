"""How a host runs the replicas of a training job: the `Launcher` of its gang."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from batchpredict.training.children import discharge, enlist
from batchpredict.training.cluster import Replica, Role
from batchpredict.training.logs import LogWriter
from batchpredict.training.replica import (
    Child,
    Installed,
    environment,
    install,
    split_devices,
    working_folder,
)
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Space, Trial
from batchpredict.workers import visible_gpus

HOST = "BATCHPREDICT_HOST"
"""The environment variable with the name or address by which other machines reach this one."""

_LOOPBACK = "127.0.0.1"


@dataclass
class Workplace:
    """What the replicas of a job share that one process of a host runs.

    Attributes:
      path: folder of this machine, for packages and working directories.
      logs: takes their lines.
    """

    path: str
    logs: LogWriter
    _installed: Installed | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def installed(self, packages: Sequence[str]) -> Installed:
        """The packages of the job, installed once. Raises BatchPredictError."""
        with self._guard:
            if self._installed is None:
                folder = os.path.join(self.path, "site")
                self._installed = install(packages, folder, lambda text: self.logs.add("service", "", text))
            return self._installed


class ReplicaLauncher:
    """Starts replicas of one gang on this host.

    Args:
      spec: the job.
      workplace: of this process.
      job: folder of the job, by which its children are known in this process.
      alone: no replica runs on another machine.
      trial: that the gang is of; None for a job without trials.
      hypertune: path of the file for cloudml-hypertune; "" for none.

    Attributes:
      trial: number of the trial; "" for none.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        workplace: Workplace,
        job: str,
        *,
        alone: bool,
        trial: Trial | None = None,
        hypertune: str = "",
    ) -> None:
        self._spec = spec
        self._workplace = workplace
        self._job = job
        self._alone = alone
        self.trial = "" if trial is None else str(trial.number)
        self._hypertune = hypertune
        tuning = spec.tuning
        self._parameters = (
            {} if tuning is None or trial is None else Space.of(tuning.params).arguments(trial.values)
        )
        self._sockets: dict[Replica, socket.socket] = {}
        self._started: set[Replica] = set()
        self._guard = threading.Lock()

    def hosts(self, role: Role) -> bool:
        """Whether a replica of this role was started here."""
        return any(replica.role is role for replica in self._started)

    def bind(self, replica: Replica) -> str:
        """See `gang.Launcher`."""
        self._workplace.installed(self._spec.input.package_uris)
        host = _LOOPBACK if self._alone else advertised_host()
        # Held until the replica is started, so that no other process is given the port meanwhile.
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.bind((_LOOPBACK if self._alone else "", 0))
        port = listener.getsockname()[1]
        with self._guard:
            before = self._sockets.pop(replica, None)
            self._sockets[replica] = listener
        if before is not None:
            before.close()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self, replica: Replica, addresses: Mapping[Replica, str], attempt: int) -> _Running:
        """See `gang.Launcher`."""
        del attempt
        program = self._spec.program(self.trial)
        site = self._workplace.installed(program.packages)
        env = environment(
            os.environ,
            site=site.path,
            tf_config=self._spec.cluster.tf_config(
                replica, addresses, trial=self.trial or None, job=dict(self._spec.source)
            ),
            trial=self.trial or None,
            metric_file=self._hypertune or None,
            devices=self._devices(replica),
        )
        folder = working_folder(os.path.join(self._workplace.path, self.trial), replica)
        with self._guard:
            listener = self._sockets.pop(replica, None)
        if listener is not None:
            listener.close()
        child = Child.start(
            program.command(site.python, self._parameters),
            env,
            folder,
            lambda _, text: self._workplace.logs.add(replica.task, self.trial, text),
        )
        self._started.add(replica)
        enlist(self._job, child)
        return _Running(child, lambda: discharge(self._job, child))

    def close(self) -> None:
        """Give up the ports that were not used."""
        with self._guard:
            for listener in self._sockets.values():
                listener.close()
            self._sockets.clear()

    def _devices(self, replica: Replica) -> tuple[str, ...] | None:
        """The GPUs that a replica sees; None to leave it to the host."""
        devices = visible_gpus()
        if not devices or not self._alone or self._spec.parallel > 1:
            return None
        cluster = self._spec.cluster
        wanted = {one: cluster.machines[one.role].accelerators for one in cluster.replicas}
        return split_devices(devices, wanted, alike=not cluster.has_servers)[replica]


class _Running:
    """A child as the gang knows it."""

    def __init__(self, child: Child, ended: Callable[[], None]) -> None:
        self._child = child
        self._ended = ended

    def poll(self) -> int | None:
        return self._child.poll()

    def end(self, grace_seconds: float) -> None:
        self._child.end(grace_seconds)
        self._ended()

    def keep(self, seconds: float) -> None:
        self._child.keep(seconds)

    def tail(self) -> Sequence[str]:
        return self._child.last_lines


def advertised_host() -> str:
    """How other machines reach this one: what the environment says, else the address of the way out."""
    if found := os.environ.get(HOST):
        return found
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: to be given a way is to be told its address.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return _LOOPBACK
