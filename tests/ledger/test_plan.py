"""The plan of a job: the same for the same job, stored once, read by the page."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
from typing import Any

import pytest
import support

from batchpredict import storage
from batchpredict.errors import OutputRefused, StagingDamaged
from batchpredict.ledger.plan import Plan, load_plan, make_plan, read_page
from batchpredict.ledger.spec import FORMAT_VERSION, PredictionSpec
from batchpredict.ledger.split_size import choose_split_bytes
from batchpredict.ledger.staging import Staging
from batchpredict.storage import files

MODEL = "4f2a"
"""The digest of a model that nobody looks at."""


@pytest.fixture
def spec(tmp_path: Any, out: str) -> PredictionSpec:
    for name in ("b", "a", "c"):
        support.write(tmp_path / "in" / name, (f"{number:03d}" for number in range(20)))
    return support.spec_of(support.job(support.model("double"), str(tmp_path / "in" / "*"), out, splitBytes=30))


def planned(spec: PredictionSpec, **changes: Any) -> Plan:
    with make_plan(dataclasses.replace(spec, **changes), MODEL) as draft:
        return draft.plan


def stored(spec: PredictionSpec) -> tuple[Plan, Staging]:
    with make_plan(spec, MODEL) as draft:
        staging = Staging(spec.output_path, draft.plan.fingerprint)
        return draft.store(staging), staging


class TestFingerprint:
    def test_is_the_same_wherever_the_results_go_and_whoever_works(
        self, spec: PredictionSpec, tmp_path: Any
    ) -> None:
        same = {"output_path": str(tmp_path / "else"), "max_workers": 7, "max_errors": "3", "region": "x"}
        assert planned(spec, **same) == planned(spec)
        assert len(planned(spec).fingerprint) == 16

    @pytest.mark.parametrize(
        "change",
        [
            {"batch_size": 7},
            {"signature_name": "other"},
            {"output_format": "CSV"},
            {"key_field": "id"},
            {"split_bytes": 31},
            {"max_record_bytes": 1000},
        ],
    )
    def test_is_another_with_any_option_that_shapes_the_results(
        self, change: dict[str, Any], spec: PredictionSpec
    ) -> None:
        assert planned(spec, **change).fingerprint != planned(spec).fingerprint

    def test_is_another_with_other_inputs(self, spec: PredictionSpec, tmp_path: Any) -> None:
        before = planned(spec)
        os.utime(tmp_path / "in" / "a", (1, 1))
        touched = planned(spec)
        support.write(tmp_path / "in" / "d", "1\n")
        assert len({before.fingerprint, touched.fingerprint, planned(spec).fingerprint}) == 3


class TestSplits:
    def test_cover_every_file_in_order(self, spec: PredictionSpec) -> None:
        with make_plan(spec, MODEL) as draft:
            splits = list(draft.splits())
        segments = [segment for split in splits for segment in split.segments]
        assert [split.index for split in splits] == list(range(draft.plan.splits))
        assert (draft.plan.files, draft.plan.bytes) == (3, 240)
        assert [os.path.basename(one.path) for one in segments] == sorted(
            os.path.basename(one.path) for one in segments
        )
        for name in "abc":
            ends = [(one.start, one.end) for one in segments if one.path.endswith(f"/{name}")]
            assert (ends[0][0], ends[-1][1]) == (0, 80)
            assert all(one[1] == other[0] for one, other in itertools.pairwise(ends))

    def test_of_nothing_there_is_one(self, tmp_path: Any, out: str) -> None:
        source = support.write(tmp_path / "empty", b"")
        spec = support.spec_of(support.job(support.model("double"), source, out))
        with make_plan(spec, MODEL) as draft:
            assert [split.segments for split in draft.splits()] == [()]

    @pytest.mark.parametrize(
        ("total", "batch", "record", "remote", "size"),
        [
            (0, 64, 0.0, False, 256 * 1024),
            (64 * 1024 * 1024, 64, 100.0, False, 1024 * 1024),
            (10**12, 64, 100.0, False, 64 * 1024 * 1024),
            (64 * 1024 * 1024, 64, 100.0, True, 32 * 1024 * 1024),
            (0, 1024, 1e6, False, 4 * 1024 * 10**6),
        ],
        ids=["small", "a share", "large", "on a store", "some whole batches"],
    )
    def test_size(self, total: int, batch: int, record: float, remote: bool, size: int) -> None:
        assert choose_split_bytes(total, batch, record, remote=remote) == size


@pytest.mark.usefixtures("pages")
class TestStored:
    def test_is_read_as_it_was_made(self, spec: PredictionSpec) -> None:
        with make_plan(spec, MODEL) as draft:
            splits = list(draft.splits())
        plan, staging = stored(spec)
        assert load_plan(staging) == plan
        assert [split for page in plan.pages for split in read_page(staging, plan, page)] == splits
        assert [number for page in plan.pages for number in plan.page(page)] == list(range(plan.splits))

    def test_the_first_one_stands(self, spec: PredictionSpec) -> None:
        plan, staging = stored(spec)
        assert stored(spec)[0] == plan
        assert sorted(storage.list_names(staging.root)) == ["plan.json", plan.file]

    def test_of_two_at_once_one_stands(self, spec: PredictionSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        first: list[Plan] = []
        original = files.open_write

        def open_write(url: str) -> Any:
            # Somebody else stores it after we have looked.
            if not first:
                first.append(Plan("", 0, 0, 0, 0))
                first[0] = stored(spec)[0]
            return original(url)

        with monkeypatch.context() as patched:
            patched.setattr(files, "open_write", open_write)
            plan, staging = stored(spec)
        assert [plan] == first
        assert sorted(storage.list_names(staging.root)) == ["plan.json", plan.file]

    def test_half_of_one_is_never_sent_to_a_store(
        self, spec: PredictionSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def breaks(_: Any, target: Any, __: int) -> None:
            target.write(b"half")
            raise OSError("no room")

        double = storage.Double()
        with double.mounted(), make_plan(spec, MODEL) as draft:
            monkeypatch.setattr(shutil, "copyfileobj", breaks)
            with pytest.raises(OutputRefused, match="no room"):
                draft.store(Staging(double.folder(), draft.plan.fingerprint))
        assert "upload" not in {operation for operation, _ in double.calls}

    def test_one_that_is_gone_or_damaged_is_named(self, spec: PredictionSpec) -> None:
        plan, staging = stored(spec)
        storage.delete(storage.join(staging.root, plan.file))
        with pytest.raises(StagingDamaged, match="is gone; somebody removed it"):
            list(read_page(staging, plan, 0))
        for text in (b"", b"[]", b"{}", b'{"format": 1, "offsets": 3}'):
            storage.replace_bytes(staging.plan, text)
            with pytest.raises(StagingDamaged, match=r"plan\.json cannot be read .*--fresh"):
                load_plan(staging)
        storage.delete(staging.plan)
        with pytest.raises(StagingDamaged, match="is gone; somebody removed it"):
            load_plan(staging)

    def test_splits_of_another_plan_are_no_splits_of_this_one(self, spec: PredictionSpec) -> None:
        plan, staging = stored(spec)
        wrong = dataclasses.replace(plan, offsets=(plan.offsets[-1] + 1, *plan.offsets[1:]))
        with pytest.raises(StagingDamaged, match=r"cannot be read .*--fresh"):
            list(read_page(staging, wrong, 0))

    def test_fields_are_those_of_the_format(self, spec: PredictionSpec) -> None:
        plan, staging = stored(spec)
        fields = json.loads(storage.read_bytes(staging.plan))
        assert fields.pop("format") == FORMAT_VERSION
        assert fields == {**dataclasses.asdict(plan), "offsets": list(plan.offsets)}

    def test_an_output_folder_that_is_a_file(self, spec: PredictionSpec, tmp_path: Any) -> None:
        support.write(tmp_path / "file", "x")
        with pytest.raises(OutputRefused, match="outputPath: cannot"):
            stored(dataclasses.replace(spec, output_path=str(tmp_path / "file" / "out")))
