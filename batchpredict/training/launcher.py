"""How a host runs the replicas of a training job: the `Launcher` of its gang."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from batchpredict.training.children import discharge, enlist
from batchpredict.training.cluster import Replica, Role
from batchpredict.training.replica import (
    STARTUP_SECONDS,
    Child,
    Startup,
    computed,
    environment,
    split_devices,
    working_folder,
)
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Space, Trial
from batchpredict.training.workplace import Workplace
from batchpredict.workers import visible_gpus

HOST = "BATCHPREDICT_HOST"
"""The environment variable with the name or address by which other machines reach this one."""

_LOOPBACK = "127.0.0.1"
_HANGS = (
    f"It was ended because it hangs: since its start {STARTUP_SECONDS:g} seconds ago it has written nothing, and "
    "it does not compute."
)


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
        self._started: dict[Replica, _Running] = {}
        self._guard = threading.Lock()

    def hosts(self, role: Role) -> bool:
        """Whether a replica of this role was started here."""
        # Copied: it is asked by another thread than the one that starts replicas.
        return any(replica.role is role for replica in list(self._started))

    def silent(self) -> list[Replica]:
        """The replicas that have written nothing since they were started here."""
        return sorted(replica for replica, running in list(self._started.items()) if running.silent)

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
        running = _Running(replica, lambda text: self._workplace.logs.add(replica.task, self.trial, text))
        child = Child.start(program.command(site.python, self._parameters), env, folder, running.wrote)
        self._started[replica] = running
        enlist(self._job, child)
        running.begin(child, lambda: discharge(self._job, child))
        return running

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
    """A child as the gang knows it. One that hangs at its start is ended, and has failed."""

    def __init__(self, replica: Replica, log: Callable[[str], None]) -> None:
        self._log = log
        # Parameter servers and evaluators may well wait for others, and nobody waits for them.
        self._may_wait = replica.role not in (Role.MASTER, Role.WORKER)
        self._startup = Startup(time.monotonic(), lambda: computed(self._child.pid))
        self._hangs = False

    def begin(self, child: Child, ended: Callable[[], None]) -> None:
        """Before any other call, but for `wrote`."""
        self._child = child
        self._ended = ended

    def wrote(self, stream: str, text: str) -> None:
        del stream
        self._startup.wrote()
        self._log(text)

    @property
    def silent(self) -> bool:
        return self._startup.silent

    def poll(self) -> int | None:
        status = self._child.poll()
        if status is None and not self._may_wait and not self._hangs and self._startup.hangs(time.monotonic()):
            self._hangs = True
            self._log(_HANGS)
            self._child.end(0, wait=False)
        # Of itself, for what will come again.
        return 1 if status is not None and self._hangs else status

    def end(self, grace_seconds: float) -> None:
        self._child.end(grace_seconds)
        self._ended()

    def keep(self, seconds: float) -> None:
        self._child.keep(seconds)

    def tail(self) -> Sequence[str]:
        return [_HANGS] if self._hangs else self._child.last_lines


def advertised_host() -> str:
    """How other machines reach this one: what the environment says, else the address of the way out."""
    if found := os.environ.get(HOST):
        return found
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: to be given a way is to be told its address.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return _LOOPBACK
