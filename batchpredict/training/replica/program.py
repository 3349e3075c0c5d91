"""What a replica runs: the command, its environment, its working directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.training.cluster import Replica

# What the service told its programs. A process that trains may itself run under such a service, so none of it is
# passed on from there.
_OURS = ("TF_CONFIG", "CLUSTER_SPEC", "CLOUD_ML_TRIAL_ID", "CLOUD_ML_HP_METRIC_FILE")


@dataclass(frozen=True)
class Program:
    """The user's program.

    Attributes:
      module: name of the Python module to run.
      args: its arguments.
      job_dir: where it writes; of a trial, the trial's own.
      packages: URLs of wheels and source packages that it needs.
    """

    module: str
    args: tuple[str, ...] = ()
    job_dir: str | None = None
    packages: tuple[str, ...] = ()

    def command(self, python: str, parameters: Mapping[str, str]) -> list[str]:
        """The command line, with the tuned parameters of a trial behind the arguments, which they so override."""
        tuned = [f"--{name}={value}" for name, value in parameters.items()]
        where = ["--job-dir", self.job_dir] if self.job_dir else []
        return [python, "-m", self.module, *self.args, *tuned, *where]


def environment(
    base: Mapping[str, str],
    *,
    site: str,
    tf_config: Mapping[str, Any],
    trial: str | None = None,
    metric_file: str | None = None,
    devices: Sequence[str] | None = None,
) -> dict[str, str]:
    """The environment of a replica. It is made for the child alone: threads of this process share `os.environ`.

    Args:
      base: what the program may see of the host's environment.
      site: folder of the installed packages, which come before those of the host.
      trial: id of the trial; None if the job does not tune.
      metric_file: where cloudml-hypertune is to write.
      devices: GPUs as CUDA names them; empty for none, None to leave it to the host.
    """
    found = {name: value for name, value in base.items() if name not in _OURS}
    path = [site, *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))]
    found["PYTHONPATH"] = os.pathsep.join(path)
    # A line is in the log when it is printed, not when a buffer of 8 KiB is full.
    found["PYTHONUNBUFFERED"] = "1"
    found["TF_CONFIG"] = found["CLUSTER_SPEC"] = json.dumps(tf_config)
    if trial is not None:
        found["CLOUD_ML_TRIAL_ID"] = trial
    if metric_file is not None:
        found["CLOUD_ML_HP_METRIC_FILE"] = metric_file
    if devices is not None:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or "-1"
    return found


def working_folder(folder: str, replica: Replica) -> str:
    """The working directory of a replica below its job's folder on this host; made if need be.

    `python -m` looks there first, so it must not be a folder in which other modules lie.
    """
    path = os.path.join(folder, "work", replica.name)
    os.makedirs(path, exist_ok=True)
    return path
