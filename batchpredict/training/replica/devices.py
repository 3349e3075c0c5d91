"""Which replica of a host sees which of its GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchpredict.training.cluster import Replica, Role


def split_devices(
    devices: Sequence[str], wanted: Mapping[Replica, int], *, alike: bool
) -> dict[Replica, tuple[str, ...]]:
    """Divide the GPUs of a host among its replicas: no GPU goes to two of them.

    Who asks for GPUs gets as many where there are enough, else an equal share; where nobody asks, as on a
    workstation that trains a job of tier BASIC, all share what is there. Parameter servers get none, evaluators
    what is left.

    Args:
      devices: as CUDA_VISIBLE_DEVICES names them.
      wanted: for each replica of the host, how many GPUs its machine type has.
      alike: every training replica must have as many as the others, as collectives demand.
    """
    training = sorted(one for one in wanted if one.role in (Role.MASTER, Role.WORKER))
    asking = [one for one in training if wanted[one]] or training
    asked = sum(wanted[one] for one in asking)
    if 0 < asked <= len(devices):
        counts = [wanted[one] for one in asking]
    else:
        counts = _shares(len(devices), len(asking), alike)
    found: dict[Replica, tuple[str, ...]] = dict.fromkeys(wanted, ())
    start = 0
    for replica, count in zip(asking, counts, strict=True):
        found[replica] = tuple(devices[start : start + count])
        start += count
    evaluators = sorted(one for one in wanted if one.role is Role.EVALUATOR)
    for replica, device in zip(evaluators, devices[start:], strict=False):
        found[replica] = (device,)
    return found


def _shares(devices: int, replicas: int, alike: bool) -> list[int]:
    if not replicas:
        return []
    each, more = divmod(devices, replicas)
    return [each + (not alike and index < more) for index in range(replicas)]
