"""Clients with etags against two servers on one database: what they saw is linearizable, unless somebody cheats."""

from __future__ import annotations

import functools
import time

import pytest
import support
from service.kills.registers import NotLinearizable
from service.kills.writers import IamPolicy, JobLabels, Register, Writers
from service.kills_support import PROJECT, Client, History, Service


@pytest.fixture
def service(tmp_path):
    """Two APIs and no worker: jobs stay where they are."""
    running = Service(str(tmp_path))
    try:
        for name in ("api", "api-2"):
            running.start(name)
            support.wait_until(functools.partial(running.answers, name), 60, name)
        yield running
    finally:
        running.end()


@pytest.mark.timeout(300)
@pytest.mark.long
def test_what_clients_see_is_linearizable_and_what_bypasses_etags_is_found(service):
    client = Client(service, History(), support.digits("text", "part-0.json"))
    client.create("j")
    client.close()
    labels, policy = JobLabels("j"), IamPolicy(f"projects/{PROJECT}")
    registers: list[Register] = [labels, policy]
    writers = Writers(service, service.named("api"), registers, seed=1)
    time.sleep(5)
    writers.close()
    service.stop()
    store = service.store()
    try:
        figures = writers.check(store, {})
        assert figures["registers"] == 2
        assert figures["acknowledged"] > 10
        before = store.job(PROJECT, "j")
        store.patch_job(PROJECT, "j", {"last": "nobody"}, None)
        with pytest.raises(NotLinearizable, match="out of nothing"):
            writers.check(store, {})
        store.patch_job(PROJECT, "j", before.new.labels, None)
        with pytest.raises(NotLinearizable, match="two etags"):
            writers.check(store, {})
    finally:
        store.close()
