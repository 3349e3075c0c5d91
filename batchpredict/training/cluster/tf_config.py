"""TF_CONFIG, as the service wrote it; see cmle-behaviour.md §5."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.job import TrainingInput
from batchpredict.training.cluster.replicas import Replica, Role

CHIEF = "chief"
MASTER = "master"

# The first runtime version whose TF_CONFIG has a chief.
_CHIEF_SINCE = (2, 1)


def chief_of(source: TrainingInput) -> str:
    """What TF_CONFIG calls the master: "chief" or "master".

    Runtimes before 2.1 said "master", and so did containers unless the job asked for a chief. A job without a
    runtime version runs under the TensorFlow that is here, which knows a chief.
    """
    if source.use_chief_in_tf_config:
        return CHIEF
    if source.master_config is not None and source.master_config.image_uri:
        return MASTER
    version = re.match(r"(\d+)\.(\d+)", source.runtime_version or "")
    if version and (int(version[1]), int(version[2])) < _CHIEF_SINCE:
        return MASTER
    return CHIEF


def tf_config(
    replicas: Sequence[Replica],
    chief: str,
    replica: Replica,
    addresses: Mapping[Replica, str],
    *,
    trial: str | None,
    job: Mapping[str, Any],
    cloud: str | None,
) -> dict[str, Any]:
    """See `Cluster.tf_config`."""
    cluster: dict[str, list[str]] = {}
    for one in sorted(replicas):
        # An evaluator is no part of the cluster, only of the job.
        if one.role is not Role.EVALUATOR:
            cluster.setdefault(_type(one.role, chief), []).append(addresses[one])
    task: dict[str, Any] = {"type": _type(replica.role, chief), "index": replica.index}
    if trial is not None:
        task["trial"] = trial
    if cloud is not None:
        task["cloud"] = cloud
    return {"cluster": cluster, "task": task, "job": dict(job), "environment": "cloud"}


def _type(role: Role, chief: str) -> str:
    return chief if role is Role.MASTER else role.value
