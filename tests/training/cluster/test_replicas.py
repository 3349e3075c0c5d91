from __future__ import annotations

import pytest

from batchpredict.training.cluster import Replica, Role


def test_a_replica_has_a_name_for_each_place() -> None:
    replica = Replica(Role.WORKER, 2)
    assert (replica.name, replica.task, replica.words) == ("worker-2", "worker-replica-2", "worker 2")
    assert str(replica) == "worker-2"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("index", [0, 7, 19])
def test_a_name_is_read_back(role: Role, index: int) -> None:
    assert Replica.parse(Replica(role, index).name) == Replica(role, index)


@pytest.mark.parametrize(
    "name", ["", "worker", "worker-", "worker--1", "worker-01", "chief-0", "worker-1 ", "worker-²"]
)
def test_another_text_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a replica"):
        Replica.parse(name)


def test_replicas_sort_by_role_then_by_index() -> None:
    expected = ["master-0", "worker-2", "worker-10", "ps-0", "evaluator-0"]
    assert [one.name for one in sorted(map(Replica.parse, reversed(expected)))] == expected
    assert Replica(Role.MASTER, 5) <= Replica(Role.WORKER, 0) < Replica(Role.WORKER, 1)
    assert Replica(Role.PS, 0) >= Replica(Role.WORKER, 9) > Replica(Role.MASTER, 0)
