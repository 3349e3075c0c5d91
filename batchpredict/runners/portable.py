"""Runners behind a server of Beam's Job API: Flink, Prism, and whatever else speaks it."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from batchpredict.errors import RunnerFailed, WrongFlag
from batchpredict.runners.beam import hand_over
from batchpredict.runners.channel import Channel
from batchpredict.runners.flags import check_known
from batchpredict.runners.flink_rest import FlinkCluster
from batchpredict.runners.job_server import JobServer
from batchpredict.runners.job_service import Endpoint, beam, known_options
from batchpredict.runners.log_file import LogFile
from batchpredict.runners.pipeline import Pipeline
from batchpredict.runners.submitted import Cluster, Submitted
from batchpredict.runners.work import Needs, Observer, R, S, Work

# Beam's words for a Flink that the job server brings along.
_EMBEDDED = ("[local]", "[auto]")

# Milliseconds. Without it, Flink ends its Python workers with each stage and starts them anew for the next one.
_WORKERS_KEPT = 600_000


class PortableRunner:
    """FlinkRunner, PrismRunner or PortableRunner, as Beam names them.

    Args:
      name: as `--runner` has it.
      beam_flags: options of the pipeline, as Beam's command line has them, without `--runner`.
    """

    def __init__(self, name: str, beam_flags: Sequence[str] = ()) -> None:
        self.name = name
        self._flags = list(beam_flags)
        self._given = _given(beam_flags)

    def check(self) -> None:
        given = self._given
        if given.job_endpoint is not None:
            Endpoint.of(given.job_endpoint, "--job-endpoint")
        elif self.name == "PortableRunner":
            raise WrongFlag("--job-endpoint: PortableRunner needs the host:port of a job server")
        elif self.name == "PrismRunner":
            self._check_prism()
        elif given.flink_master is None:
            raise WrongFlag(
                "--flink-master: FlinkRunner needs the host:port of a Flink (its REST port, 8081 mostly), or "
                "--job-endpoint, that of a job server"
            )
        elif given.flink_master not in _EMBEDDED:
            Endpoint.of(given.flink_master, "--flink-master")
        jar = given.flink_job_server_jar
        if jar is not None and "://" not in jar and not os.path.exists(jar):
            raise WrongFlag(f"--flink-job-server-jar: there is no file '{jar}'")
        if given.environment_type is None and not self._local():
            raise WrongFlag(
                "--environment-type: say how workers start on the cluster; EXTERNAL, with "
                "--environment-config=HOST:PORT of the worker pool that every machine has, or DOCKER, with "
                "an image that holds batchpredict"
            )

    def submit(self, work: Work[S, R], observer: Observer[S]) -> Submitted[S, R]:
        """Hand a work over.

        Raises:
          RunnerFailed: the job server or the cluster is not there, or not what it should be.
          WrongFlag: a flag that neither Beam nor the job server knows.
        """
        channel = Channel.new(work.folder)
        log = LogFile()
        flink = self._flink()
        more = [f"--job_name=batchpredict-{channel.name}", f"--environment_cache_millis={_WORKERS_KEPT}"]
        if self._given.job_endpoint is not None:
            endpoint = Endpoint.of(self._given.job_endpoint, "--job-endpoint")
            known = known_options(endpoint, "--job-endpoint")
            check_known(self._flags, known)
            takes_parallelism = "parallelism" in known
            server = None
            where = str(endpoint)
        else:
            check_known(self._flags)
            takes_parallelism = self.name == "FlinkRunner"
            where = "" if flink is None else self._given.flink_master
            more += self._fitting(flink)
            server = _Starting(self.name, log)
        if takes_parallelism and self._given.parallelism is None:
            more += self._parallelism(work.needs, flink)
        if self._given.environment_type is None:
            more.append("--environment_type=LOOPBACK")
        # Its own job name, so that it is found among those of the cluster; a user's comes after and wins.
        flags = [f"--runner={self.name}", *more, *self._flags]

        driver = work.elsewhere(channel)

        def launch(last_moment: Callable[[], None]) -> Any:
            started = [] if server is None else server.start(flags)
            return hand_over(driver, [*flags, *started], last_moment)

        name = self._given.job_name or f"batchpredict-{channel.name}"
        cluster = Cluster(
            f"{self.name} at {where}" if where else self.name,
            survives=self.name != "PrismRunner",
            loopback=self._given.environment_type in (None, "LOOPBACK"),
            silent=self._silent,
            cancel=None if flink is None else lambda: flink.cancel(name),
            release=lambda: None if server is None else server.stop(),
            log=log,
        )
        return Submitted(cluster, driver, channel, Pipeline(launch), observer)

    def _check_prism(self) -> None:
        location = self._given.prism_location
        if location is None:
            from apache_beam import version

            raise WrongFlag(
                "--prism-location: PrismRunner needs the path of a Prism binary (`go install "
                f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{version.__version__}` makes one), or "
                "--job-endpoint, the host:port of one that runs"
            )
        if "://" not in location and not os.path.isfile(location):
            raise WrongFlag(f"--prism-location: there is no file '{location}'")

    def _local(self) -> bool:
        """All of it is on this machine, as far as the flags say."""
        given = self._given
        text, flag = given.job_endpoint, "--job-endpoint"
        if text is None:
            text, flag = given.flink_master, "--flink-master"
        return text is None or text in _EMBEDDED or Endpoint.of(text, flag).local

    def _flink(self) -> FlinkCluster | None:
        master = self._given.flink_master
        if self.name != "FlinkRunner" or master is None or master in _EMBEDDED:
            return None
        return FlinkCluster(Endpoint.of(master, "--flink-master"))

    def _fitting(self, flink: FlinkCluster | None) -> list[str]:
        """The version of the job server that fits the cluster, unless somebody knows better."""
        if flink is None:
            return []
        version = flink.version()
        if self._given.flink_version is not None or self._given.flink_job_server_jar is not None:
            return []
        from apache_beam.options.pipeline_options import FlinkRunnerOptions

        known: list[str] = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
        short = ".".join(version.split(".")[:2])
        if short not in known:
            raise RunnerFailed(
                f"--flink-master: the cluster at {self._given.flink_master} is Flink {version}, and {beam()} has "
                f"job servers for {', '.join(known)}; give one that fits by --flink-job-server-jar"
            )
        return [f"--flink_version={short}"]

    def _parallelism(self, needs: Needs, flink: FlinkCluster | None) -> list[str]:
        """maxWorkerCount in Flink's terms, without it all free slots; no more than there are, if that is known.

        Flink would wait for slots that there are none of, and then fail.
        """
        free, total = (0, 0) if flink is None else flink.slots()
        wanted = needs.max_workers or free or total
        wanted = min(wanted, total) if total else wanted
        return [f"--parallelism={wanted}"] if wanted else []

    def _silent(self) -> str | None:
        """Why no worker begins, where that can be seen from here: a pool on this machine that does not listen."""
        if self._given.environment_type == "EXTERNAL" and self._given.environment_config and self._local():
            with contextlib.suppress(WrongFlag):
                pool = Endpoint.of(self._given.environment_config, "--environment-config")
                if pool.local:
                    try:
                        pool.reach("worker pool", "--environment-config")
                    except RunnerFailed as error:
                        return str(error)
        return None


class _Starting:
    """A job server of this process, started where it may take its time."""

    def __init__(self, name: str, log: LogFile) -> None:
        self._name = name
        self._log = log
        self._server: JobServer | None = None

    def start(self, flags: Sequence[str]) -> list[str]:
        """Start it, and give the flags that lead to it.

        Raises:
          RunnerFailed: it does not start.
        """
        self._server = JobServer(
            lambda folder: _command(self._name, [*flags, f"--artifacts_dir={folder}"]), self._log
        )
        self._server.wait()
        return [f"--job_endpoint={self._server.endpoint}"]

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()


def _command(name: str, flags: Sequence[str]) -> tuple[list[str], str]:
    """What starts Beam's job server, and where it will listen. A jar that is not here is fetched, as Beam does."""
    from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions

    options = PipelineOptions(list(flags))
    try:
        if name == "PrismRunner":
            from apache_beam.runners.portability.prism_runner import PrismJobServer

            command, endpoint = PrismJobServer(options).subprocess_cmd_and_endpoint()
        else:
            from apache_beam.runners.portability.flink_runner import FlinkJarJobServer, FlinkRunner

            flink = options.view_as(FlinkRunnerOptions)
            flink.flink_master = FlinkRunner.add_http_scheme(flink.flink_master)
            command, endpoint = FlinkJarJobServer(options).subprocess_cmd_and_endpoint()
    except (OSError, RuntimeError, ValueError) as error:
        flag = "--prism-location" if name == "PrismRunner" else "--flink-job-server-jar"
        raise RunnerFailed(f"{flag}: Beam's job server cannot be had: {error}") from error
    return [str(part) for part in command], endpoint


def _given(flags: Sequence[str]) -> argparse.Namespace:
    """The flags that matter here, as they were given; Beam, which reads them all, is not imported for that."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in (
        *("job_endpoint", "job_name", "environment_type", "environment_config", "parallelism"),
        *("flink_master", "flink_version", "flink_job_server_jar", "prism_location"),
    ):
        parser.add_argument(f"--{flag}")
    return parser.parse_known_args(list(flags))[0]
