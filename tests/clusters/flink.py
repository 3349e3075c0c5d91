"""A Flink cluster on this machine: JobManager, TaskManagers, Beam's job server, a pool of SDK workers."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import socket
import subprocess
import sys
import urllib.request
import zipfile
from typing import Any

import support
from clusters.processes import CACHE, Server, free_port, listens

HOME = os.path.join(CACHE, "flink-1.19.3")
JOB_SERVER = os.path.join(CACHE, "job-server-2.62.0")

MISSING = "" if os.path.isdir(HOME) and os.path.isdir(JOB_SERVER) else "run tests/clusters/install flink"
"""Why these tests cannot run here; "" if they can."""

# Where the works are that only tests know, for the workers.
_WORKS = os.path.join(support.ROOT, "tests", "runners")

# As in the configuration that the distribution comes with; Flink's reflection needs them since Java 17.
_OPENED = (
    *("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time"),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"),
)
_JAVA = ("java", *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED), "-XX:+UseSerialGC")

# A cluster that gives up quickly on what is gone, and never on a job.
_CONFIG = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: {rpc}
jobmanager.memory.process.size: 1000m
jobmanager.memory.enable-jvm-direct-memory-limit: false
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: {slots}
taskmanager.memory.process.size: 1000m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 1000
restart-strategy.fixed-delay.delay: 1 s
heartbeat.interval: 2000
heartbeat.timeout: 10000
io.tmp.dirs: {folder}/tmp
"""
_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-40.40c{1.} %m%n
"""


class FlinkCluster:
    """A cluster of this version of Flink, with nothing running yet.

    A TaskManager and its pool of SDK workers stand for a machine: they have a loopback address of their own, which
    the TaskManager knows under the name `workers`.

    Args:
      folder: for configuration, logs and temporary files.
      slots: of each TaskManager.
    """

    def __init__(self, folder: str, slots: int = 1) -> None:
        self.folder = folder
        self.slots = slots
        self.rest = free_port()
        self.job_port = free_port()
        self.task_managers: dict[int, Server] = {}
        self.pools: dict[int, Server] = {}
        self._pool_port = free_port()
        self._artifact_port = free_port()
        self._resources: tuple[list[str], list[str]] | None = None
        os.makedirs(os.path.join(folder, "tmp"))
        config = _CONFIG.format(rpc=free_port(), rest=self.rest, slots=slots, folder=folder)
        support.write(os.path.join(folder, "config.yaml"), config)
        self._logging = support.write(os.path.join(folder, "log4j.properties"), _LOGGING)

    @property
    def master(self) -> str:
        return f"127.0.0.1:{self.rest}"

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.job_port}"

    @property
    def flags(self) -> list[str]:
        """What a job for this cluster says of it."""
        return [
            *("--runner=FlinkRunner", f"--job-endpoint={self.endpoint}"),
            *("--environment-type=EXTERNAL", f"--environment-config=workers:{self._pool_port}"),
        ]

    def start(self, machines: int = 2) -> FlinkCluster:
        """Start one of everything, and the TaskManagers with their pools, and wait until all are there."""
        self.start_job_manager()
        self.start_job_server()
        for number in range(machines):
            self.start_pool(number)
            self.start_task_manager(number)
        for server in (self.job_manager, self.job_server, *self.pools.values()):
            server.wait_ready()
        self.wait_for_slots(machines * self.slots)
        return self

    def stop(self) -> None:
        for server in (*self.task_managers.values(), *self.pools.values(), self.job_server, self.job_manager):
            server.kill()

    def start_job_manager(self) -> None:
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        command = [*self._java("-Xmx400m"), main, "--configDir", self.folder]
        self.job_manager = self._server("job-manager", command, lambda: listens(self.rest))

    def start_task_manager(self, number: int) -> None:
        """Start the TaskManager of one machine; it is not waited for."""
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        jvm, dynamic = self._worked_out()
        hosts = f"127.0.0.1 localhost\n127.0.0.1 {socket.gethostname()}\n{_address(number)} workers\n"
        file = support.write(os.path.join(self.folder, f"hosts-{number}"), hosts)
        command = [*self._java(*jvm, f"-Djdk.net.hosts.file={file}"), main, "--configDir", self.folder, *dynamic]
        self.task_managers[number] = self._server(f"task-manager-{number}", command, lambda: True)

    def start_pool(self, number: int) -> None:
        """Start the pool of one machine. It starts whatever `python` is first in the path, with this checkout."""
        address = _address(number)
        script = os.path.join(os.path.dirname(__file__), "worker_pool.py")
        command = [sys.executable, script, f"{address}:{self._pool_port}"]
        path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
        env = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join((support.ROOT, _WORKS))}
        name = f"worker-pool-{number}"
        self.pools[number] = self._server(name, command, lambda: listens(self._pool_port, address), env)

    def start_job_server(self) -> None:
        command = [
            *("java", "-Xmx400m", "-XX:+UseSerialGC", "-cp", os.path.join(JOB_SERVER, "*")),
            "org.apache.beam.runners.flink.FlinkJobServerDriver",
            f"--flink-master={self.master}",
            "--job-host=127.0.0.1",
            f"--job-port={self.job_port}",
            f"--artifact-port={self._artifact_port}",
            "--expansion-port=0",
            f"--artifacts-dir={self.folder}/artifacts",
        ]
        self.job_server = self._server("job-server", command, lambda: listens(self.job_port))

    def get(self, path: str) -> Any:
        """What the JobManager's REST service answers."""
        with urllib.request.urlopen(f"http://{self.master}{path}", timeout=10) as answer:
            return json.load(answer)

    def wait_for_slots(self, count: int, seconds: float = 60) -> None:
        """Wait until as many slots are free; those of a TaskManager that died are counted until it is missed."""

        def free() -> bool:
            with contextlib.suppress(OSError):
                return bool(self.get("/overview")["slots-available"] >= count)
            return False

        support.wait_until(free, seconds, f"{count} free slots (see {self.folder})")

    def running(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        ended = ("FINISHED", "FAILED", "CANCELED")
        return [job["id"] for job in self.get("/jobs")["jobs"] if job["status"] not in ended]

    def cancel(self, job: str) -> None:
        """Cancel a job, for the next test."""
        request = urllib.request.Request(f"http://{self.master}/jobs/{job}?mode=cancel", method="PATCH")
        urllib.request.urlopen(request, timeout=10).close()

    def _server(self, name: str, command: list[str], ready: Any, env: dict[str, str] | None = None) -> Server:
        return Server(name, command, os.path.join(self.folder, f"{name}.log"), ready, env)

    def _java(self, *options: str) -> list[str]:
        return [*_JAVA, *options, f"-Dlog4j.configurationFile={self._logging}", "-cp", f"{HOME}/lib/*"]

    def _worked_out(self) -> tuple[list[str], list[str]]:
        """JVM options and dynamic properties of a TaskManager, as Flink's own start script works them out."""
        if self._resources is None:
            command = [
                *("java", "-cp", f"{HOME}/lib/*:{HOME}/bin/bash-java-utils.jar"),
                *("org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS"),
                *("--configDir", self.folder),
            ]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
            jvm, dynamic = (line.partition(mark)[2] for line in said.splitlines() if mark in line)
            self._resources = jvm.split(), dynamic.split()
        return self._resources


def _address(machine: int) -> str:
    return f"127.0.0.{10 + machine}"


def job_server_jar(folder: str) -> str:
    """A jar that is started as Beam's own job server is, by `java -jar`: it names the jars of the installed one."""
    path = os.path.join(folder, "flink-job-server.jar")
    names = sorted(glob.glob(os.path.join(JOB_SERVER, "*.jar")))
    head = "Manifest-Version: 1.0\nMain-Class: org.apache.beam.runners.flink.FlinkJobServerDriver\n"
    # A line of a manifest has at most 72 bytes; one that begins with a space goes on.
    line = "Class-Path: " + " ".join(f"file://{name}" for name in names)
    folded = "\n ".join(line[at : at + 70] for at in range(0, len(line), 70))
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", f"{head}{folded}\n\n")
    return path
