"""Several threads' items in one commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from batchpredict.service.store.group_commit import MOST, GroupCommit
from batchpredict.service.store.interface import StoreFailed


class Committing:
    """Commits one group at a time, and lets a test hold it."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self._one_at_a_time = threading.Lock()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        assert self._one_at_a_time.acquire(blocking=False), "two commit at once"
        try:
            self.groups.append(list(items))
            self.inside.set()
            assert self.go_on.wait(60)
            if any(item < 0 for item in items):
                raise ValueError("negative")
            return [KeyError(item) if item % 7 == 3 else item * 10 for item in items]
        finally:
            self._one_at_a_time.release()


def together(group: GroupCommit[int, int], items: Sequence[int]) -> dict[int, int | BaseException]:
    """The answers to items that threads bring at the same time."""
    answers: dict[int, int | BaseException] = {}

    def bring(item: int) -> None:
        try:
            answers[item] = group(item)
        except BaseException as error:
            answers[item] = error

    threads = [threading.Thread(target=bring, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return answers


def test_one_caller_waits_for_nobody():
    commit = Committing()
    assert GroupCommit(commit)(4) == 40
    assert commit.groups == [[4]]


def test_what_comes_during_a_commit_is_committed_together_after_it():
    commit = Committing()
    group = GroupCommit(commit)
    commit.go_on.clear()
    first = threading.Thread(target=group, args=(0,))
    first.start()
    assert commit.inside.wait(60)
    release = threading.Thread(target=go_on_with, args=(commit, group, 5))
    release.start()
    assert together(group, [11, 12, 13, 14, 15]) == {item: item * 10 for item in range(11, 16)}
    first.join(60)
    release.join(60)
    assert [sorted(items) for items in commit.groups] == [[0], [11, 12, 13, 14, 15]]


def go_on_with(commit: Committing, group: GroupCommit[int, int], items: int) -> None:
    """Let a commit that is held go on when so many wait for the next one."""
    while len(group._coming) < items:
        time.sleep(0.001)
    commit.go_on.set()


def test_of_those_who_are_announced_one_half_is_waited_for():
    commit = Committing()
    group = GroupCommit(commit, moment=60)
    may_bring = {item: threading.Event() for item in (11, 12)}

    def bring(item: int) -> None:
        with group.announced():
            may_bring[item].wait(60)
            group(item)

    announced = {item: threading.Thread(target=bring, args=(item,)) for item in may_bring}
    for thread in announced.values():
        thread.start()
    while group._announced < 2:
        time.sleep(0.001)
    first = threading.Thread(target=group, args=(1,))
    first.start()
    while not group._coming:
        time.sleep(0.001)
    assert commit.groups == []
    may_bring[11].set()
    first.join(30)
    announced[11].join(30)
    assert commit.groups == [[1, 11]]
    may_bring[12].set()
    announced[12].join(30)
    assert commit.groups == [[1, 11], [12]]


def test_who_is_announced_and_brings_nothing_holds_nobody():
    commit = Committing()
    group = GroupCommit(commit, moment=60)
    with pytest.raises(ValueError, match="refused"), group.announced():
        raise ValueError("refused")
    assert group(1) == 10
    with group.announced():
        assert group(2) == 20
        assert group(4) == 40
    assert commit.groups == [[1], [2], [4]]


def test_who_is_announced_and_does_not_come_is_waited_for_a_moment():
    group = GroupCommit(Committing(), moment=0.01)
    with group.announced():
        thread = threading.Thread(target=group, args=(1,))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()


def test_everybody_gets_the_answer_to_what_they_brought():
    group = GroupCommit(Committing())
    answers = together(group, range(200))
    for item, answer in answers.items():
        if item % 7 == 3:
            assert isinstance(answer, KeyError)
            assert answer.args == (item,)
        else:
            assert answer == item * 10


def test_an_item_that_breaks_its_transaction_does_not_break_others():
    commit = Committing()
    group = GroupCommit(commit)
    commit.go_on.clear()
    first = threading.Thread(target=group, args=(0,))
    first.start()
    assert commit.inside.wait(60)
    release = threading.Thread(target=go_on_with, args=(commit, group, 3))
    release.start()
    answers = together(group, [1, -1, 2])
    first.join(60)
    release.join(60)
    assert (answers[1], answers[2]) == (10, 20)
    assert isinstance(answers[-1], ValueError)
    assert group(5) == 50


def test_what_is_nobodys_fault_is_not_tried_for_each_alone():
    calls = []

    def commit(items: Sequence[int]) -> list[int | Exception]:
        calls.append(len(items))
        raise StoreFailed("The server is gone.")

    answers = together(GroupCommit(commit, (StoreFailed,)), range(20))
    assert all(isinstance(answer, StoreFailed) for answer in answers.values())
    assert sum(calls) == 20


def test_a_leader_that_is_interrupted_leaves_the_others_an_error_and_the_next_a_turn():
    interrupted = threading.Event()

    def commit(items: Sequence[int]) -> list[int | Exception]:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return [item * 10 for item in items]

    group = GroupCommit(commit)
    with pytest.raises(KeyboardInterrupt):
        group(1)
    assert group(2) == 20


def test_a_group_is_bounded():
    commit = Committing()
    group = GroupCommit(commit)
    commit.go_on.clear()
    first = threading.Thread(target=group, args=(0,))
    first.start()
    assert commit.inside.wait(60)
    items = [item for item in range(1, 2 * MOST) if item % 7 != 3]
    release = threading.Thread(target=go_on_with, args=(commit, group, len(items)))
    release.start()
    together(group, items)
    first.join(60)
    release.join(60)
    assert [len(items) for items in commit.groups] == [1, MOST, len(items) - MOST]
