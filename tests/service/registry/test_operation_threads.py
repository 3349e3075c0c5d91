"""Operations under way: held, cancelled, given back, lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import support
from service.registry_support import PROJECT, inspect_here, world

from batchpredict.service.store import StoreFailed

LEASE = timedelta(seconds=1)


class Stall:
    """An inspection that goes on until it is ended, or let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, uri: str, go_on: Callable[[], None]) -> dict[str, Any]:
        self.begun.set()
        while not self.let_go.wait(0.01):
            go_on()
        return inspect_here(uri, go_on)


def id_of(operation: dict[str, Any]) -> str:
    return str(operation["name"].rpartition("/")[2])


def test_one_that_is_cancelled_ends_soon_and_leaves_nothing(tmp_path):
    stall = Stall()
    with world(tmp_path, inspecting=stall, lease=LEASE) as here:
        here.create_model()
        operation = here.create_version(here.model_folder())
        assert stall.begun.wait(60)
        here.registry.cancel_operation(PROJECT, id_of(operation))
        ended = here.ended(operation)
        assert ended["error"] == {"code": 1, "message": "The operation was cancelled."}
        found = here.registry.version(PROJECT, "census", "v1")
        assert (found["state"], found["errorMessage"]) == ("FAILED", "The operation was cancelled.")
        assert here.copies() == here.index() == []


def test_one_that_is_done_is_not_changed_by_a_cancel(tmp_path):
    with world(tmp_path) as here:
        here.create_model()
        ended = here.ended(here.create_version(here.model_folder()))
        here.registry.cancel_operation(PROJECT, id_of(ended))
        assert here.registry.operation(PROJECT, id_of(ended)) == ended


def test_a_service_that_stops_gives_it_back_for_the_next_to_take_at_once(tmp_path):
    stall = Stall()
    with world(tmp_path, inspecting=stall, lease=timedelta(hours=1)) as here:
        here.create_model()
        operation = here.create_version(here.model_folder())
        assert stall.begun.wait(60)
    with world(tmp_path, lease=timedelta(hours=1)) as here:
        assert "error" not in here.ended(operation)
        assert len(here.copies()) == 1


def test_one_that_takes_longer_than_its_lease_stays_with_whoever_does_it(tmp_path):
    stall = Stall()
    with world(tmp_path, inspecting=stall, lease=LEASE) as here:
        here.create_model()
        operation = here.create_version(here.model_folder())
        assert stall.begun.wait(60)
        time.sleep(3 * LEASE.total_seconds())
        stall.let_go.set()
        here.ended(operation)
        assert here.store.version(PROJECT, "census", "v1").details["attempt"] == 1


def test_one_that_became_anothers_is_ended_by_that_one_only(tmp_path):
    first = Stall()
    with world(tmp_path, inspecting=first, lease=timedelta(hours=1)) as here:
        here.create_model()
        operation = here.create_version(here.model_folder())
        assert first.begun.wait(60)
        # As if its lease had ended unseen: it is taken by another process, while the first one goes on.
        here.store.hold_operation(PROJECT, id_of(operation), holder(here, operation), timedelta())
        with world(tmp_path) as other:
            assert "error" not in other.ended(operation)
            uri = other.uri_of()
            first.let_go.set()
            support.wait_until(lambda: other.copies() == [uri], what="the end of the first attempt's copy")
            assert other.uri_of() == uri
            assert other.registry.version(PROJECT, "census", "v1")["state"] == "READY"


def test_one_that_another_thread_of_the_process_has_taken_is_not_given_back_under_it(tmp_path):
    begun = [Stall(), Stall()]
    attempts = iter(begun)

    def inspecting(uri: str, go_on: Callable[[], None]) -> dict[str, Any]:
        # The first one is not told that it has lost the operation, as if its process had been asleep.
        return next(attempts)(uri, lambda: None)

    with world(tmp_path, inspecting=inspecting, lease=timedelta(hours=1)) as here:
        here.create_model()
        operation = here.create_version(here.model_folder())
        assert begun[0].begun.wait(60)
        here.store.hold_operation(PROJECT, id_of(operation), holder(here, operation), timedelta())
        assert begun[1].begun.wait(60)
        second = holder(here, operation)
        begun[0].let_go.set()
        support.wait_until(lambda: len(here.copies()) == 1, what="the end of the first attempt")
        assert holder(here, operation) == second
        begun[1].let_go.set()
        assert "error" not in here.ended(operation)
        assert here.store.version(PROJECT, "census", "v1").details["attempt"] == 2


def test_others_are_done_while_one_takes_its_time(tmp_path):
    stall = Stall()

    def inspecting(uri: str, go_on: Callable[[], None]) -> dict[str, Any]:
        found = inspect_here(uri, go_on)
        return stall(uri, go_on) if "a" in found["signatures"]["serving_default"]["inputs"] else found

    with world(tmp_path, inspecting=inspecting) as here:
        here.create_model()
        slow = here.create_version(here.model_folder("two_inputs", called="slow"), "slow")
        assert stall.begun.wait(60)
        here.ended(here.create_version(here.model_folder(), "quick"))
        assert not here.registry.operation(PROJECT, id_of(slow)).get("done")
        stall.let_go.set()
        here.ended(slow)


def holder(here: Any, operation: dict[str, Any]) -> str:
    return str(here.store.operation(PROJECT, id_of(operation)).worker)


def test_a_database_that_is_away_for_a_while_costs_nothing_but_time(tmp_path, monkeypatch):
    with world(tmp_path, started=False, lease=LEASE) as here:
        due, failures = (
            here.store.due_operations,
            iter([StoreFailed("it is away"), RuntimeError("of another kind")] * 3),
        )

        def away(*arguments: Any) -> Any:
            for failure in failures:
                raise failure
            return due(*arguments)

        monkeypatch.setattr(here.store, "due_operations", away)
        here.create_model()
        operation = here.create_version(here.model_folder())
        here.registry.start()
        assert "error" not in here.ended(operation)
