"""How far a job is, added up from its manifests."""

from __future__ import annotations

import pytest

from batchpredict.ledger.budget import Tally
from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.progress import ManifestFeed, Snapshot, committed_tally
from batchpredict.ledger.staging import Staging

PLAN = Plan("f00d", 5, 1, 500, 100, None, "", 2, (0, 0, 0))


@pytest.fixture
def staging(out: str) -> Staging:
    return Staging(out, "f00d")


def commit(staging: Staging, split: int, tensorflow: str = "", node_seconds: float = 0.0) -> None:
    report = SegmentReport("a", split * 100, split * 100 + 100, 500, True, 0, 0, 10)
    manifest = Manifest(
        "f00d", split, None, "w", 0.0, 0.0, node_seconds, ("y",), PartFile("p", 0), None, (report,), 9, 1, (),
        0, 0, 0, 0, 0.0, 0.0, tensorflow,
    )  # fmt: skip
    staging.commit(manifest)


class Clock:
    """Goes on by so many seconds with every look at it."""

    def __init__(self, step: float) -> None:
        self.now, self._step = 0.0, step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def test_what_earlier_runs_had_committed_is_told_apart(staging: Staging) -> None:
    commit(staging, 3)
    feed = ManifestFeed(staging, PLAN, Clock(0.0))
    first = feed.poll(Tally(2, 0, 20), 4)

    def snapshot(tally: Tally, resumed: Tally, done: int, workers: int) -> Snapshot:
        places = staging.output_path, staging.root
        return Snapshot(tally, resumed, 500, done, 5, workers, output_path=places[0], staging=places[1])

    assert first == snapshot(Tally(11, 1, 120), Tally(9, 1, 100), 1, 4)
    commit(staging, 0)
    commit(staging, 4)
    assert feed.poll() == snapshot(Tally(27, 3, 300), Tally(9, 1, 100), 3, 0)
    assert committed_tally(staging, PLAN) == Tally(27, 3, 300)


def test_a_job_under_way_has_an_output_and_a_progress(staging: Staging) -> None:
    commit(staging, 0, node_seconds=1800.0)
    commit(staging, 1, node_seconds=900.0)
    snapshot = ManifestFeed(staging, PLAN, Clock(0.0)).poll(Tally(2, 1, 20), 3)
    assert snapshot.to_output() == {
        "outputPath": staging.output_path,
        "predictionCount": "20",
        "errorCount": "3",
        "nodeHours": 0.75,
    }
    progress = {"done": 220, "total": 500, "splits": 2, "workers": 3, "staging": staging.root}
    assert snapshot.to_progress() == progress
    assert snapshot.committed == 2


def test_what_is_read_past_the_end_is_no_progress(staging: Staging) -> None:
    snapshot = ManifestFeed(staging, PLAN, Clock(0.0)).poll(Tally(0, 0, 999))
    assert snapshot.to_progress()["done"] == 500


def test_where_looking_takes_long_it_is_done_seldom(staging: Staging) -> None:
    clock = Clock(1.0)
    feed = ManifestFeed(staging, PLAN, clock)
    assert feed.poll().splits_done == 0
    commit(staging, 0)
    assert feed.poll().splits_done == 0
    assert feed.poll(at_once=True).splits_done == 1
    commit(staging, 1)
    clock.now += 10
    assert feed.poll().splits_done == 2


def test_a_manifest_is_read_once(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = ManifestFeed(staging, PLAN, Clock(0.0))
    for split in range(5):
        commit(staging, split)
    read: list[int] = []
    original = Staging.read

    def counted(self: Staging, split: int, forced_start: int | None = None) -> Manifest:
        read.append(split)
        return original(self, split, forced_start)

    monkeypatch.setattr(Staging, "read", counted)
    for _ in range(3):
        assert feed.poll().splits_done == 5
    assert sorted(read) == [0, 1, 2, 3, 4]


class TestVersions:
    def change(self, staging: Staging, earlier: list[str], now: list[str]) -> str:
        for split, version in enumerate(earlier):
            commit(staging, split, version)
        feed = ManifestFeed(staging, PLAN, Clock(0.0))
        assert feed.poll().version_sentence() == ""
        for split, version in enumerate(now, start=len(earlier)):
            commit(staging, split, version)
        return feed.poll().version_sentence()

    def test_another_one_than_before_is_said(self, staging: Staging) -> None:
        assert self.change(staging, ["2.18.0"], ["2.21.0"]) == (
            "the job goes on under TensorFlow 2.21.0, and what is committed already was scored under 2.18.0; "
            "--fresh scores everything again"
        )

    def test_so_it_is_when_there_were_several(self, staging: Staging) -> None:
        said = self.change(staging, ["2.18.0", "2.17.1"], ["2.18.0", "2.21.0"])
        assert "TensorFlow 2.21.0, and" in said
        assert "under 2.17.1 and 2.18.0;" in said

    @pytest.mark.parametrize(
        ("earlier", "now"),
        [
            (["2.21.0"], ["2.21.0"]),
            (["2.18.0", "2.21.0"], ["2.21.0"]),
            ([], ["2.21.0"]),
            ([""], ["2.21.0"]),
            (["2.21.0"], [""]),
        ],
        ids=["the same", "one of those before", "nothing before", "unknown before", "unknown now"],
    )
    def test_else_nothing_is(self, earlier: list[str], now: list[str], staging: Staging) -> None:
        assert self.change(staging, earlier, now) == ""
