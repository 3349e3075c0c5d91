"""The pools of a process: one for each job, made where there is none that works, and closed when it is replaced."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
import support

from batchpredict.errors import JobFailed
from batchpredict.ledger import PredictionSpec, Staging, Tally
from batchpredict.prediction import pools
from batchpredict.prediction.pools import Lease

STAGING = Staging("memory://pools", "f00d")

NO_PLAN: Any = None


class Pool:
    """A pool that does nothing, and says whether it was closed, and whether the lock was free then."""

    def __init__(self) -> None:
        self.failure: JobFailed | None = None
        self.closed = 0
        self.locked_at_close = False

    def close(self) -> None:
        self.closed += 1
        self.locked_at_close = pools._lock.locked()


@pytest.fixture
def spec() -> PredictionSpec:
    return support.spec_of(support.job(support.model("double"), "in", "memory://pools", maxErrors="3"))


@pytest.fixture(autouse=True)
def made(monkeypatch) -> list[Pool]:
    """The pools that are made, in order."""
    found: list[Pool] = []

    def make(*arguments, **named) -> Pool:
        found.append(Pool())
        return found[-1]

    monkeypatch.setattr(pools, "make_pool", make)
    monkeypatch.setattr(pools, "committed_tally", lambda staging, plan: Tally())
    return found


def test_a_pool_that_has_failed_is_closed_when_it_is_replaced(spec, made):
    one, other = Lease(spec, 2), Lease(spec, 2)
    failed: Any = one.pool(NO_PLAN, STAGING)
    assert cast("Any", other.pool(NO_PLAN, STAGING)) is failed
    failed.failure = JobFailed("no")
    fresh: Any = one.pool(NO_PLAN, STAGING)
    assert fresh is not failed
    assert (failed.closed, failed.locked_at_close) == (1, False)
    assert cast("Any", other.pool(NO_PLAN, STAGING)) is fresh
    one.end()
    assert fresh.closed == 0
    other.end()
    assert [pool.closed for pool in made] == [1, 1]


def test_a_pool_that_a_driver_has_offered_is_the_drivers_to_end(spec, made):
    offered: Any = Pool()
    pools.offer_pool(STAGING, offered)
    offered.failure = JobFailed("no")
    lease = Lease(spec, 2)
    assert cast("Any", lease.pool(NO_PLAN, STAGING)) is offered
    lease.end()
    pools.withdraw_pool(STAGING, offered)
    assert (offered.closed, made) == (0, [])


def test_manifests_are_read_while_others_can_have_their_pools(spec, monkeypatch):
    locked: list[bool] = []

    def reading(staging, plan):
        locked.append(pools._lock.locked())
        return Tally()

    monkeypatch.setattr(pools, "committed_tally", reading)
    lease = Lease(spec, 2)
    lease.pool(NO_PLAN, STAGING)
    lease.end()
    assert locked == [False]


def test_of_two_steps_that_make_a_pool_at_once_both_get_the_same(spec, made, monkeypatch):
    both = threading.Barrier(2)

    def reading(staging, plan):
        both.wait(10)
        return Tally()

    monkeypatch.setattr(pools, "committed_tally", reading)
    leases = [Lease(spec, 2), Lease(spec, 2)]
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda lease: lease.pool(NO_PLAN, STAGING), leases)
    assert one is other
    assert sorted(pool.closed for pool in made) == [0, 1]
    for lease in leases:
        lease.end()
    assert [pool.closed for pool in made] == [1, 1]
