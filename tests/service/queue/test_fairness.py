"""Which job is next: turns of projects, order within one, room, limits; and that nobody waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.service.queue import Grant, Limits, Room, Usage, Waiting, choose

PROJECTS = ("a", "b", "c")
TICKS = 600


def job(project: str, sequence: int, workers: int = 1) -> Waiting:
    return Waiting(project, f"{project}{sequence}", sequence, workers)


def chosen(grants: list[Grant]) -> list[str]:
    return [grant.job.job_id for grant in grants]


@st.composite
def queues(draw) -> list[Waiting]:
    sizes = draw(st.lists(st.tuples(st.sampled_from(PROJECTS), st.integers(1, 6)), max_size=12))
    jobs = [job(project, place, workers) for place, (project, workers) in enumerate(sizes, 1)]
    shuffled: list[Waiting] = draw(st.permutations(jobs))
    return shuffled


usages = st.dictionaries(st.sampled_from(PROJECTS), st.builds(Usage, st.integers(0, 3), st.integers(0, 6)))
rooms = st.builds(
    Room, st.integers(0, 5), st.integers(0, 8), st.builds(Usage, st.integers(0, 5), st.integers(0, 8))
)
bounds = st.none() | st.integers(1, 6)
limits = st.builds(Limits, bounds, bounds)


@given(queues(), usages, rooms, limits)
def test_jobs_of_a_project_do_not_overtake_each_other(waiting, usage, room, limit):
    grants = choose(waiting, usage, room, limit)
    for project in PROJECTS:
        mine = sorted((one for one in waiting if one.project == project), key=lambda one: one.sequence)
        taken = [grant.job for grant in grants if grant.job.project == project]
        assert taken == mine[: len(taken)]


@given(queues(), usages, rooms, limits)
def test_room_and_limits_are_never_exceeded(waiting, usage, room, limit):
    grants = choose(waiting, usage, room, limit)
    assert all(1 <= grant.workers <= grant.job.workers for grant in grants)
    if grants:
        assert room.used.jobs + len(grants) <= room.jobs
        assert room.used.workers + sum(grant.workers for grant in grants) <= room.workers
    for project in {grant.job.project for grant in grants}:
        before = usage.get(project, Usage())
        mine = [grant.workers for grant in grants if grant.job.project == project]
        assert limit.jobs is None or before.jobs + len(mine) <= limit.jobs
        assert limit.workers is None or before.workers + sum(mine) <= limit.workers


@given(queues(), usages, rooms, limits)
def test_the_order_in_which_they_are_listed_does_not_matter(waiting, usage, room, limit):
    assert choose(waiting, usage, room, limit) == choose(waiting[::-1], usage, room, limit)


@given(queues(), usages, rooms, limits)
def test_each_choice_is_of_a_project_that_had_least_among_those_that_may_have_more(waiting, usage, room, limit):
    taken = dict(usage)
    left = sorted(waiting, key=lambda one: one.sequence)
    for grant in choose(waiting, usage, room, limit):
        heads = {one.project: one for one in reversed(left)}
        open_to = [
            one.project
            for one in heads.values()
            if fits(taken.get(one.project, Usage()), min(one.workers, room.workers, limit.workers or 99), limit)
        ]
        least = min(taken.get(project, Usage()).workers for project in open_to)
        assert taken.get(grant.job.project, Usage()).workers == least
        before = taken.get(grant.job.project, Usage())
        taken[grant.job.project] = Usage(before.jobs + 1, before.workers + grant.workers)
        left.remove(grant.job)


def fits(usage: Usage, workers: int, limit: Limits) -> bool:
    return (limit.jobs is None or usage.jobs < limit.jobs) and (
        limit.workers is None or usage.workers + workers <= limit.workers
    )


def test_two_projects_share_a_machine_although_one_was_there_first():
    waiting = [job("a", number) for number in range(1, 101)] + [job("b", number) for number in range(101, 103)]
    assert chosen(choose(waiting, {}, Room(4, 4))) == ["a1", "b101", "a2", "b102"]


def test_what_runs_on_other_machines_counts():
    waiting = [job("a", 1), job("a", 2), job("b", 3), job("b", 4)]
    assert chosen(choose(waiting, {"a": Usage(2, 2)}, Room(2, 2))) == ["b3", "b4"]


def test_among_equal_worker_processes_the_fewest_jobs_and_then_the_oldest_are_next():
    waiting = [job("a", 1), job("b", 2), job("c", 3)]
    usage = {"a": Usage(2, 2), "b": Usage(1, 2), "c": Usage(1, 2)}
    assert chosen(choose(waiting, usage, Room(9, 9))) == ["b2", "c3", "a1"]


def test_a_large_job_is_not_overtaken_by_small_ones_that_would_fit():
    waiting = [job("a", 1, workers=4), job("b", 2, workers=1)]
    assert choose(waiting, {}, Room(4, 4, used=Usage(1, 1))) == []


def test_a_job_that_asks_for_more_than_the_machine_gets_the_machine():
    assert choose([job("a", 1, workers=64)], {}, Room(4, 4)) == [Grant(job("a", 1, workers=64), 4)]


def test_a_job_that_asks_for_more_than_its_project_may_have_gets_that():
    assert choose([job("a", 1, workers=64)], {}, Room(9, 9), Limits(workers=3)) == [
        Grant(job("a", 1, workers=64), 3)
    ]


def test_a_project_at_its_limit_is_overtaken():
    waiting = [job("a", 1), job("b", 2)]
    assert chosen(choose(waiting, {"a": Usage(1, 0)}, Room(9, 9), Limits(jobs=1))) == ["b2"]


@pytest.mark.parametrize("room", [Room(0, 4), Room(4, 0), Room(1, 4, used=Usage(1, 1))])
def test_a_machine_without_room_takes_nothing(room):
    assert choose([job("a", 1)], {}, room) == []


@pytest.mark.parametrize("seed", range(3))
def test_nobody_waits_for_ever_while_others_keep_submitting(seed):
    # Three machines, jobs of random size and length; "c" submits one that needs a whole machine.
    roll = random.Random(seed)
    machines = [Room(4, 4) for _ in range(3)]
    running: list[tuple[int, int, Grant]] = []  # (ends, machine, what)
    waiting: list[Waiting] = []
    started: dict[str, int] = {}
    submitted: dict[str, int] = {}
    limit = Limits(jobs=6, workers=8)
    for now in range(TICKS):
        for project in PROJECTS:
            # More than the machines can do.
            if roll.random() < 0.4:
                size = 4 if project == "c" else roll.randint(1, 3)
                new = job(project, len(submitted) + 1, workers=size)
                waiting.append(new)
                submitted[new.job_id] = now
        for ended in [one for one in running if one[0] <= now]:
            running.remove(ended)
        for place in range(len(machines)):
            usage = used(running, None)
            here = used(running, place).values()
            mine = Usage(sum(one.jobs for one in here), sum(one.workers for one in here))
            room = replace(machines[place], used=mine)
            for grant in choose(waiting, usage, room, limit):
                waiting.remove(grant.job)
                started[grant.job.job_id] = now
                running.append((now + roll.randint(1, 9), place, grant))
    heads = {one.project: one for one in sorted(waiting, key=lambda one: -one.sequence)}
    for project in PROJECTS:
        # Each project has had its turn all the time: its starts are spread over the whole of it.
        starts = sorted(at for name, at in started.items() if name.startswith(project))
        assert max(later - earlier for earlier, later in pairwise(starts)) <= 60
        assert TICKS - starts[-1] <= 60 or project not in heads
    done = Counter(name[0] for name in started)
    assert min(done.values()) > TICKS // 15


def used(running: list[tuple[int, int, Grant]], machine: int | None) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for _, place, grant in running:
        if machine is None or place == machine:
            before = found.get(grant.job.project, Usage())
            found[grant.job.project] = Usage(before.jobs + 1, before.workers + grant.workers)
    return found
