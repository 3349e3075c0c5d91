"""Threads one after the other, but not for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from batchpredict.service.turns import Turns


def test_one_thread_at_a_time():
    turns, inside, most = Turns(moment=60), 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with turns.turn():
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert (inside, most) == (0, 1)


def test_one_that_hangs_holds_nobody_up_for_longer_than_a_moment():
    turns = Turns(moment=0.05)
    hung, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        with turns.turn():
            hung.set()
            let_go.wait(60)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(hang)
        hung.wait(60)
        for _ in range(2):
            with turns.turn():
                assert not ended.done()
        let_go.set()
        ended.result(60)
    # Whoever went by took nothing along.
    with turns.turn():
        assert not turns._taken.acquire(timeout=0)
    assert turns._taken.acquire(timeout=0)


def test_an_error_ends_a_turn():
    turns = Turns(moment=60)
    for _ in range(2):
        try:
            with turns.turn():
                raise ValueError
        except ValueError:
            pass
    with turns.turn():
        pass
