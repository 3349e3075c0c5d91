"""Splits of a file that were read apart are the file read whole, or are read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import support

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.formats.records import Segment
from batchpredict.formats.splits import Split
from batchpredict.ledger.chain import Link
from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport
from batchpredict.ledger.plan import Plan
from batchpredict.ledger.proof import chain_pages, prove, proven_parts
from batchpredict.ledger.staging import Staging

SPEC = support.spec_of(support.job("model", "a", "out"))


@pytest.fixture
def staging(out: str) -> Staging:
    return Staging(out, "f00d")


def report(
    start: int, end: int, begin: int | None, following: int, records: int = 1, path: str = "a", exact: bool = False
) -> SegmentReport:
    return SegmentReport(path, start, end, 100, exact, begin, following, records)


def manifest(split: int, *reports: SegmentReport, forced: int | None = None) -> Manifest:
    records = sum(one.records for one in reports)
    return Manifest(
        "f00d", split, forced, "w", 0.0, 0.0, 0.0, ("y",), PartFile(f"results-{split}-{forced}", 0),
        PartFile(f"errors-{split}-{forced}", 0), reports,
        records, 0, (), 0, 0, 0, 0, 0.0, 0.0,
    )  # fmt: skip


class Folder:
    """A staging folder that knows what was committed to it, and reads splits again as the test says.

    Args:
      answers: the report of (split, byte).
    """

    def __init__(self, staging: Staging, answers: dict[tuple[int, int], SegmentReport]) -> None:
        self.staging = staging
        self.answers = answers
        self.asked: list[tuple[Split, int]] = []
        self.by_part: dict[str, Manifest] = {}

    def commit(self, one: Manifest) -> None:
        assert one.errors is not None
        for part in (one.results, one.errors):
            storage.replace_bytes(self.staging.part(part.name), b"")
        self.by_part[one.results.name] = one
        self.staging.commit(one)

    def redo(self, split: Split, start: int | None) -> None:
        assert start is not None, "a split would be read again whose part is there"
        self.asked.append((split, start))
        self.commit(manifest(split.index, self.answers[split.index, start], forced=start))


# Splits of a page: all on one, and pages that begin everywhere.
@pytest.fixture(params=[1000, 2, 1])
def chain(request: Any, staging: Staging) -> Callable[..., tuple[list[Link], Folder]]:
    def chain(
        *manifests: Manifest, splits: int | None = None, answers: dict[tuple[int, int], SegmentReport] | None = None
    ) -> tuple[list[Link], Folder]:
        folder = Folder(staging, answers or {})
        for one in manifests:
            folder.commit(one)
        count = len(manifests) if splits is None else splits
        pages = -(-count // request.param)
        plan = Plan("f00d", count, 1, 1, 1, None, "", request.param, (0,) * pages)
        proofs = [prove(SPEC, staging, plan, page, folder.redo) for page in reversed(plan.pages)]
        links = []
        for proof, records in chain_pages(SPEC, staging, plan, proofs[::-1], folder.redo):
            for part in proven_parts(staging, proof.page):
                bases = (base + records if path == proof.begin.path else base for path, base in part.sources)
                links.append(Link(folder.by_part[part.results.name], tuple(bases)))
        return links, folder

    return chain


def test_splits_that_fit_are_taken_as_they_are(chain: Callable[..., tuple[list[Link], Folder]]) -> None:
    found, redo = chain(
        manifest(0, report(0, 40, 0, 43, records=5)),
        manifest(1, report(40, 80, 43, 80, records=4)),
        manifest(2, report(80, 100, 80, 100, records=2)),
    )
    assert redo.asked == []
    assert [link.manifest.split for link in found] == [0, 1, 2]
    assert [link.bases for link in found] == [(0,), (5,), (9,)]


def test_every_file_begins_anew(chain: Callable[..., tuple[list[Link], Folder]]) -> None:
    found, redo = chain(
        manifest(0, report(0, 60, 0, 60, records=6)),
        manifest(1, report(60, 100, 60, 100, records=4)),
        manifest(2, report(0, 100, 0, 100, records=3, path="b"), report(0, 100, 0, 100, records=2, path="c")),
        manifest(3, report(0, 50, 0, 51, records=7, path="d")),
        manifest(4, report(50, 100, 51, 100, records=1, path="d")),
    )
    assert redo.asked == []
    assert [link.bases for link in found] == [(0,), (6,), (0, 0), (0,), (7,)]


def test_a_split_that_began_at_the_wrong_byte_is_read_again(
    chain: Callable[..., tuple[list[Link], Folder]],
) -> None:
    again = report(40, 80, 45, 81, records=3)
    found, redo = chain(
        manifest(0, report(0, 40, 0, 45, records=5)),
        manifest(1, report(40, 80, 50, 80, records=4)),
        manifest(2, report(80, 100, 81, 100, records=2)),
        answers={(1, 45): again},
    )
    assert redo.asked == [(Split(1, (Segment("a", 40, 80, 100),)), 45)]
    assert found[1].manifest.forced_start == 45
    assert found[1].manifest.segments == (again,)
    assert [link.bases for link in found] == [(0,), (5,), (8,)]


def test_what_was_read_again_before_is_not_read_once_more(
    chain: Callable[..., tuple[list[Link], Folder]],
) -> None:
    found, redo = chain(
        manifest(0, report(0, 40, 0, 45)),
        manifest(1, report(40, 100, 50, 100)),
        manifest(1, report(40, 100, 45, 100), forced=45),
        splits=2,
    )
    assert redo.asked == []
    assert found[1].manifest.forced_start == 45


def test_one_read_again_from_another_byte_does_not_count(
    chain: Callable[..., tuple[list[Link], Folder]],
) -> None:
    found, redo = chain(
        manifest(0, report(0, 40, 0, 45)),
        manifest(1, report(40, 100, 50, 100)),
        manifest(1, report(40, 100, 44, 100), forced=44),
        splits=2,
        answers={(1, 45): report(40, 100, 45, 100)},
    )
    assert [start for _, start in redo.asked] == [45]
    assert found[1].manifest.forced_start == 45


def test_a_record_may_swallow_the_splits_that_follow(chain: Callable[..., tuple[list[Link], Folder]]) -> None:
    found, redo = chain(
        manifest(0, report(0, 30, 0, 95, records=3)),
        manifest(1, report(30, 60, None, 60, records=0)),
        manifest(2, report(60, 90, 66, 90, records=4)),
        manifest(3, report(90, 100, 95, 100, records=1)),
        answers={(2, 95): report(60, 90, 95, 95, records=0)},
    )
    assert [(split.index, start) for split, start in redo.asked] == [(2, 95)]
    assert [link.manifest.forced_start for link in found] == [None, None, 95, None]
    assert [link.bases for link in found] == [(0,), (3,), (3,), (3,)]


def test_a_redo_that_swallows_more_than_was_thought(chain: Callable[..., tuple[list[Link], Folder]]) -> None:
    found, redo = chain(
        manifest(0, report(0, 30, 0, 32)),
        manifest(1, report(30, 60, 40, 60, records=4)),
        manifest(2, report(60, 90, 60, 90, records=5)),
        manifest(3, report(90, 100, 90, 100, records=2)),
        answers={
            (1, 32): report(30, 60, 32, 97, records=1),
            (2, 97): report(60, 90, 97, 97, records=0),
            (3, 97): report(90, 100, 97, 100, records=1),
        },
    )
    assert [(split.index, start) for split, start in redo.asked] == [(1, 32), (2, 97), (3, 97)]
    assert [link.bases for link in found] == [(0,), (1,), (2,), (2,)]


def test_a_range_in_which_no_record_was_found_must_be_covered(
    chain: Callable[..., tuple[list[Link], Folder]],
) -> None:
    found, redo = chain(
        manifest(0, report(0, 30, 0, 50)),
        manifest(1, report(30, 100, None, 100, records=0)),
        answers={(1, 50): report(30, 100, 50, 100, records=1)},
    )
    assert [start for _, start in redo.asked] == [50]
    assert found[1].manifest.predictions == 1


class TestDamage:
    def test_splits_that_are_not_committed(self, chain: Callable[..., tuple[list[Link], Folder]]) -> None:
        # Pages are proven from the last to the first here.
        with pytest.raises(StagingDamaged, match=r"are not committed, the first is [14]; run the job again\."):
            chain(manifest(0, report(0, 30, 0, 30)), manifest(3, report(90, 100, 90, 100)), splits=5)

    def test_a_split_of_which_only_another_beginning_is_committed(
        self, chain: Callable[..., tuple[list[Link], Folder]]
    ) -> None:
        with pytest.raises(StagingDamaged) as caught:
            chain(manifest(0, report(0, 30, 0, 30), forced=5))
        message = "1 of splits 0 to 0 are not committed, the first is 0; run the job again."
        assert str(caught.value) == message

    def test_one_read_again_that_does_not_fit_either(self, chain: Callable[..., tuple[list[Link], Folder]]) -> None:
        with pytest.raises(StagingDamaged) as caught:
            chain(
                manifest(0, report(0, 40, 0, 45)),
                manifest(1, report(40, 100, 50, 100)),
                answers={(1, 45): report(40, 100, 46, 100)},
            )
        assert str(caught.value) == "Split 1 of 'a' was read again from byte 45 and does not fit."
