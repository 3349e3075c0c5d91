"""Watches that are killed, two on one output folder, while files arrive: every record is scored exactly once."""

from __future__ import annotations

import pytest
from epochs.watch_kills import play


@pytest.mark.kills
@pytest.mark.timeout(1500)
def test_thirty_kills_while_two_thousand_files_arrive(tmp_path):
    figures = play(str(tmp_path), files=2000, kills=30, seed=1, log=str(tmp_path / "log"))
    assert figures["records"] == 6000


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_few_kills(tmp_path):
    play(str(tmp_path), files=100, kills=5, seed=2, log=str(tmp_path / "log"))


@pytest.mark.gcs
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_same_on_a_store(gcs, tmp_path):
    play(gcs.folder(), files=200, kills=8, seed=3, log=str(tmp_path / "log"))
