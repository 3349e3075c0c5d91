"""Logs of jobs in a store: in order, bounded, read from either end."""

from __future__ import annotations

from datetime import datetime

import pytest
from service.store_support import LEASE, START, new_job, running

from batchpredict.service.queue import LeaseLost
from batchpredict.service.store import LogLine, logs


def line(text: str, severity: str = "INFO", task: str = "service") -> tuple[datetime, str, str, str]:
    return START, severity, task, text


def texts(lines: list[LogLine]) -> list[str]:
    return [one.text for one in lines]


def test_lines_are_numbered_from_one_in_the_order_in_which_they_came(store):
    running(store, "j")
    running(store, "other")
    store.append_log("p", "j", 1, [line("a"), line("b", "ERROR", "master-replica-0")])
    store.append_log("p", "other", 1, [line("x")])
    store.append_log("p", "j", 1, [line("c")])
    assert store.log("p", "j") == [
        LogLine(1, START, "INFO", "service", "a"),
        LogLine(2, START, "ERROR", "master-replica-0", "b"),
        LogLine(3, START, "INFO", "service", "c"),
    ]


def test_a_reader_goes_on_after_the_last_line_it_saw(store):
    running(store, "j")
    store.append_log("p", "j", 1, [line(str(number)) for number in range(1, 8)])
    assert texts(store.log("p", "j", after=2, limit=3)) == ["3", "4", "5"]
    assert texts(store.log("p", "j", after=5, limit=3)) == ["6", "7"]
    assert store.log("p", "j", after=7) == []


def test_the_latest_lines_are_oldest_first_too(store):
    running(store, "j")
    store.append_log("p", "j", 1, [line(str(number)) for number in range(1, 8)])
    assert texts(store.log("p", "j", limit=3, latest=True)) == ["5", "6", "7"]
    assert texts(store.log("p", "j", after=6, limit=3, latest=True)) == ["7"]


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_only_the_holder_of_the_lease_adds_lines(store, generation):
    running(store, "j")
    store.append_log("p", "j", 1, [line("first")])
    store.expire()
    with pytest.raises(LeaseLost):
        store.append_log("p", "j", 2 if generation == 1 else generation, [line("not mine")])
    assert texts(store.log("p", "j")) == ["first"]


def test_a_job_that_nobody_holds_gets_no_lines(store):
    store.create_job(new_job("j"))
    with pytest.raises(LeaseLost):
        store.append_log("p", "j", 0, [line("early")])


def test_a_second_attempt_goes_on_in_the_same_log(store, clock):
    running(store, "j")
    store.append_log("p", "j", 1, [line("first")])
    clock.forward(15)
    store.expire()
    clock.forward(1)
    store.claim("p", "j", "w2", LEASE, 1)
    store.append_log("p", "j", 2, [line("second")])
    assert [(one.number, one.text) for one in store.log("p", "j")] == [(1, "first"), (2, "second")]


def test_the_oldest_lines_go_first_and_numbers_go_on(store, monkeypatch):
    monkeypatch.setattr(logs, "MOST_LINES", 5)
    running(store, "j")
    for first in (1, 4, 7):
        store.append_log("p", "j", 1, [line(str(number)) for number in range(first, first + 3)])
    assert [(one.number, one.text) for one in store.log("p", "j")] == [(n, str(n)) for n in range(5, 10)]


def test_more_lines_at_once_than_are_kept_leave_the_last_of_them(store, monkeypatch):
    monkeypatch.setattr(logs, "MOST_LINES", 5)
    running(store, "j")
    store.append_log("p", "j", 1, [line("early")])
    store.append_log("p", "j", 1, [line(str(number)) for number in range(2, 101)])
    assert [one.number for one in store.log("p", "j")] == [96, 97, 98, 99, 100]
    store.append_log("p", "j", 1, [line("101")])
    assert [one.number for one in store.log("p", "j")] == [97, 98, 99, 100, 101]


def test_the_bytes_of_a_log_are_bounded(store, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 1000)
    monkeypatch.setattr(logs, "LONGEST_LINE", 100)
    running(store, "j")
    for _ in range(5):
        store.append_log("p", "j", 1, [line("x" * 49) for _ in range(9)])
        assert sum(len(one.text) + 1 for one in store.log("p", "j")) <= 1000
    kept = store.log("p", "j")
    assert kept[-1].number == 45
    assert len(kept) == 18


def test_a_line_that_is_too_long_is_cut_between_characters(store, monkeypatch):
    monkeypatch.setattr(logs, "LONGEST_LINE", 31)
    running(store, "j")
    store.append_log("p", "j", 1, [line("é" * 100)])
    assert texts(store.log("p", "j")) == ["é" * 10 + " … (cut)"]


def test_the_real_bounds_are_those_that_the_contract_names():
    assert (logs.MOST_LINES, logs.MOST_BYTES) == (10_000, 10 * 2**20)
