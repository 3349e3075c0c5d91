"""kill -9 at random moments, to whatever there is, with jobs under way; then the history is checked (DESIGN §8).

A few rounds here; fifty by `pytest -m kills`, or `rounds.py` from a shell.
"""

from __future__ import annotations

import pytest
from service.kills.rounds import play


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_few_kills(tmp_path):
    figures = play(str(tmp_path), rounds=5, seed=7)
    assert figures["kills"] == 7
    assert figures["jobs"] >= 4
    # Clients did meet, or nothing was shown about etags.
    assert figures["writes with etags"]["acknowledged"] > 100
    assert figures["writes with etags"]["refused"] > 0


@pytest.mark.kills
@pytest.mark.timeout(3600)
def test_fifty_kills(tmp_path):
    figures = play(str(tmp_path), rounds=50, seed=1)
    assert figures["kills"] == 52
