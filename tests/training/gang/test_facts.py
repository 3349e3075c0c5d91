"""What the documents of a gang may hold is bounded, whatever a program writes."""

from __future__ import annotations

import json

import pytest

from batchpredict.training.cluster.replicas import Replica, Role
from batchpredict.training.gang.facts import Over, exit_document, exit_of, over_document
from batchpredict.training.gang.interface import Ending, Exit
from batchpredict.training.gang.rendezvous import LONGEST, encoded

MASTER = Replica(Role.MASTER, 0)


@pytest.mark.parametrize("character", ["x", "é", "日", "\U0001f600", '"', "\\"])
def test_the_end_of_a_program_that_writes_long_lines_is_a_document(character):
    failed = Exit(MASTER, 1, 1, 10.0, tuple(character * 8192 for _ in range(300)))
    assert len(encoded("x", exit_document(failed, "host"))) < LONGEST
    over = Over(Ending.FAILED, character * 100_000, failed=failed)
    assert len(encoded("x", over_document(over, "host"))) < LONGEST


def test_of_long_lines_the_last_are_kept():
    failed = Exit(MASTER, 1, 1, 10.0, ("first" * 4000, "Traceback (most recent call last):", "ValueError: no"))
    tail = exit_of(json.loads(encoded("x", exit_document(failed, "host")))).tail
    assert tail[1:] == ("Traceback (most recent call last):", "ValueError: no")
    assert tail[0].endswith("firstfirst")
    assert sum(map(len, tail)) == 16_000


def test_short_ones_are_kept_whole():
    lines = tuple(f"line {number}" for number in range(30))
    failed = Exit(MASTER, 1, 1, 10.0, lines)
    assert exit_of(exit_document(failed, "host")).tail == lines[-20:]
