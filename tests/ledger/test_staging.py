"""A split is committed by its manifest, once, and only manifests of this job count."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import support

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger.manifest import Manifest, PartFile
from batchpredict.ledger.staging import Staging, manifest_name, worker_name


@pytest.fixture(params=["local", "memory"])
def staging(request: pytest.FixtureRequest, out: str, memory: str) -> Staging:
    return Staging(out if request.param == "local" else f"{memory}/out", "f00d")


def manifest(split: int, start: int | None = None, fingerprint: str = "f00d", worker: str = "w") -> Manifest:
    return Manifest(
        fingerprint, split, start, worker, 0.0, 0.0, 0.0, ("y",), PartFile("p", 0), None, (), 0, 0, (),
        0, 0, 0, 0, 0.0, 0.0,
    )  # fmt: skip


def test_everything_lies_below_a_name_that_readers_pass_over(staging: Staging) -> None:
    assert staging.root == f"{staging.output_path}/_batchpredict/f00d"
    assert staging.part("p").startswith(staging.root)
    assert staging.plan.startswith(staging.root)


def test_of_many_attempts_one_commits(staging: Staging) -> None:
    start = threading.Barrier(8)

    def attempt(number: int) -> bool:
        start.wait()
        return staging.commit(manifest(0, worker=f"w{number}"))

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1
    assert staging.read(0).worker == f"w{won.index(True)}"
    assert support.committed(staging) == [(0, None)]


def test_a_split_that_began_elsewhere_is_another_commit(staging: Staging) -> None:
    assert staging.commit(manifest(0))
    assert staging.commit(manifest(0, 17))
    assert not staging.commit(manifest(0, 17))
    assert staging.read(0, 17).forced_start == 17
    assert staging.read(0).forced_start is None


def test_committed_splits_in_order(staging: Staging) -> None:
    for split, start in [(10, None), (2, 300), (2, 40), (2, None), (123_456_789, None), (0, None)]:
        staging.commit(manifest(split, start))
    assert support.committed(staging) == [(0, None), (2, None), (2, 40), (2, 300), (10, None), (123_456_789, None)]


def test_is_committed(staging: Staging) -> None:
    assert not staging.is_committed(0)
    staging.commit(manifest(0))
    assert staging.is_committed(0)
    assert not staging.is_committed(0, 17)


def test_other_files_are_no_commits(staging: Staging) -> None:
    assert support.committed(staging) == []
    for name in ("00000000.json.tmp", "notes.txt", "0.json"):
        storage.create_if_absent(storage.join(staging.manifests, name), b"")
    assert support.committed(staging) == []


def test_manifests_come_in_the_order_that_was_asked_for(staging: Staging) -> None:
    for split in range(40):
        staging.commit(manifest(split))
    keys = [(split, None) for split in reversed(range(40))]
    assert [one.split for one in staging.read_all(keys)] == list(reversed(range(40)))


class TestDamage:
    def test_a_manifest_that_is_gone(self, staging: Staging) -> None:
        with pytest.raises(StagingDamaged) as caught:
            staging.read(7)
        url = f"{staging.manifests}/00000007.json"
        assert str(caught.value) == f"The manifest {url} is gone; run the job again with --fresh."

    def test_one_that_cannot_be_read(self, staging: Staging) -> None:
        url = f"{staging.manifests}/00000007.json"
        storage.create_if_absent(url, b"{")
        with pytest.raises(StagingDamaged, match=url):
            staging.read(7)

    def test_one_of_another_version(self, staging: Staging) -> None:
        url = f"{staging.manifests}/00000007.json"
        fields = {**json.loads(manifest(7).to_json()), "format": 99}
        storage.create_if_absent(url, json.dumps(fields).encode())
        with pytest.raises(StagingDamaged) as caught:
            staging.read(7)
        assert str(caught.value) == f"The manifest {url} has format 99; this program reads 1."

    @pytest.mark.parametrize("other", [{"fingerprint": "beef"}, {"split": 8}])
    def test_one_of_another_job_or_split(self, staging: Staging, other: dict[str, Any]) -> None:
        url = f"{staging.manifests}/00000007.json"
        fields = {**json.loads(manifest(7).to_json()), **other}
        storage.create_if_absent(url, json.dumps(fields).encode())
        with pytest.raises(StagingDamaged) as caught:
            staging.read(7)
        assert str(caught.value) == f"The manifest {url} belongs to another job; run this one with --fresh."


class TestParts:
    def test_no_two_attempts_share_a_name(self, staging: Staging) -> None:
        names = {staging.new_part(3, ".results.jsonl") for _ in range(100)}
        assert len(names) == 100
        assert all(name.startswith("00000003-") and name.endswith(".results.jsonl") for name in names)

    def test_what_came_too_late_is_deleted(self, staging: Staging) -> None:
        for name in ("a", "b"):
            storage.create_if_absent(staging.part(name), b"x")
        staging.discard("a", "never written")
        assert storage.list_names(staging.parts) == ["b"]

    def test_a_fresh_start_forgets_every_commit(self, staging: Staging) -> None:
        staging.commit(manifest(0))
        staging.clear()
        staging.clear()
        assert support.committed(staging) == []


def test_names() -> None:
    assert manifest_name(3) == "00000003.json"
    assert manifest_name(3, 1_000) == "00000003@1000.json"
    assert worker_name().endswith(f"-{os.getpid()}")
