"""The errors of a split: in the order of its records, each with enough to find and mend it."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import CORRUPT_INPUT, INVALID_INPUTS, RecordRefused
from batchpredict.formats.records import Damage, Rows, Run
from batchpredict.ledger.staging import Staging
from batchpredict.scoring import errorlog
from batchpredict.scoring.errorlog import ErrorLog, shown
from batchpredict.scoring.place import Place


@pytest.fixture
def staging(out: str) -> Staging:
    return Staging(out, "f00d")


def run(*payloads: bytes, index: int = 0, offset: int = 0) -> Run:
    return Run(list(payloads), offset, index, list(payloads), 1)


LINES = run(*(b"line %02d" % row for row in range(100)))


def refuse(log: ErrorLog, row: int, message: str = "bad", lines: Run | Rows = LINES, **rest: Any) -> None:
    log.refuse("in.json", Place(0, lines.index + row), lines, row, RecordRefused(INVALID_INPUTS, message), **rest)


def written(staging: Staging, log: ErrorLog) -> list[dict[str, Any]]:
    part = log.close()
    assert part is not None
    data = storage.read_bytes(staging.part(part.name))
    assert part.bytes == len(data)
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def test_an_error_tells_where_what_and_why(staging: Staging) -> None:
    log = ErrorLog(staging, 3, None)
    log.refuse(
        "in.json", Place(2, 41), run(b"first", b"second", index=40, offset=1000), 1, RecordRefused("CODE", "reason")
    )
    assert written(staging, log) == [
        {"segment": 2, "index": 41, "offset": 1006, "code": "CODE", "message": "reason", "instance": "second"}
    ]
    assert (log.count, log.first) == (1, "in.json at byte 1006: reason")


def test_damage_has_a_place_and_no_instance(staging: Staging) -> None:
    log = ErrorLog(staging, 3, "id")
    log.damaged("in.tfrecord", 1, Damage(70, 5, CORRUPT_INPUT, "checksum"))
    assert written(staging, log) == [
        {"segment": 1, "index": 5, "offset": 70, "code": CORRUPT_INPUT, "message": "checksum"}
    ]


def test_damage_counts_the_records_that_it_cost(staging: Staging) -> None:
    log = ErrorLog(staging, 3, None)
    log.damaged("in.parquet", 0, Damage(4, 0, CORRUPT_INPUT, "a row group", 40))
    log.damaged("in.parquet", 0, Damage(90, 40, CORRUPT_INPUT, "a row group", 1))
    assert [entry.get("records") for entry in written(staging, log)] == [40, None]
    assert (log.count, log.stats()) == (41, (("a row group", 41),))


def test_without_errors_there_is_no_file(staging: Staging) -> None:
    log = ErrorLog(staging, 3, None)
    log.settle(Place(0, 10))
    assert log.close() is None
    log.discard()
    assert storage.list_names(staging.parts) == []


def test_what_is_discarded_leaves_no_file(staging: Staging) -> None:
    log = ErrorLog(staging, 3, None)
    refuse(log, 0)
    log.settle(Place(0, 0))
    assert len(storage.list_names(staging.parts)) == 1
    log.discard()
    assert storage.list_names(staging.parts) == []


class TestOrder:
    def test_is_that_of_the_records_however_the_errors_came(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        places = [Place(segment, record) for segment in range(3) for record in range(20)]
        for place in random.Random(7).sample(places, len(places)):
            log.refuse("in.json", place, LINES, 0, RecordRefused(INVALID_INPUTS, "bad"))
        assert [(entry["segment"], entry["index"]) for entry in written(staging, log)] == places

    def test_is_kept_while_the_model_runs_behind_the_reader(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        for start in range(0, 100, 10):
            refuse(log, start + 9, "not decoded")
            refuse(log, start + 3, "refused by the model")
            log.settle(Place(0, start + 5))
        assert [entry["index"] for entry in written(staging, log)] == [
            start + row for start in range(0, 100, 10) for row in (3, 9)
        ]

    def test_only_what_is_settled_is_written(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        for row in (2, 4, 6):
            refuse(log, row)
        log.settle(Place(0, 1))
        assert storage.list_names(staging.parts) == []
        log.settle(Place(0, 4))
        refuse(log, 5)
        assert [entry["index"] for entry in written(staging, log)] == [2, 4, 5, 6]

    def test_is_given_up_before_memory_is(self, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(errorlog, "_PENDING_LIMIT", 10)
        log = ErrorLog(staging, 3, None)
        for row in range(99, -1, -1):
            refuse(log, row)
            assert len(log._pending) <= 10
        found = [entry["index"] for entry in written(staging, log)]
        assert sorted(found) == list(range(100))
        assert found[:11] == list(range(89, 100))


class TestInstance:
    def test_is_text_where_it_is_text(self) -> None:
        assert shown(run("größe".encode()), 0) == "größe"

    def test_is_base64_where_it_is_not(self) -> None:
        assert shown(run(b"\xff\x00"), 0) == {"b64": "/wA="}

    def test_is_cut_at_a_kilobyte(self) -> None:
        assert shown(run(b"x" * 1000), 0) == "x" * 1000
        assert shown(run(b"x" * 1001), 0) == "x" * 1000
        assert shown(run(b"\xff" * 3000), 0)["b64"] == shown(run(b"\xff" * 1000), 0)["b64"]

    @pytest.mark.parametrize("character", ["é", "€", "😀"])
    @pytest.mark.parametrize("before", [997, 998, 999, 1000])
    def test_is_cut_between_characters(self, character: str, before: int) -> None:
        text = "x" * before + character * 300
        whole = (1000 - before) // len(character.encode())
        assert shown(run(text.encode()), 0) == "x" * before + character * whole

    def test_that_ends_within_a_character_is_no_text(self) -> None:
        for before in (10, 998, 999):
            assert "b64" in shown(run(b"x" * before + b"\xc3"), 0)

    @given(st.text(max_size=250))
    def test_any_short_text_is_shown_whole(self, text: str) -> None:
        assert shown(run(text.encode()), 0) == text

    def test_of_a_parquet_file_is_its_row_as_json(self) -> None:
        table = pa.record_batch({"x": [1.5, float("nan")], "s": [b"a", b"\xff"]})
        assert json.loads(shown(Rows(table, 0, 0), 1)) == {"x": "NaN", "s": {"b64": "/w=="}}


class TestKey:
    def entry(self, staging: Staging, lines: Run | Rows, row: int = 0, **rest: Any) -> Any:
        log = ErrorLog(staging, 3, "id")
        refuse(log, row, lines=lines, **rest)
        return written(staging, log)[0]["key"]

    def test_is_the_one_that_was_carried(self, staging: Staging) -> None:
        assert self.entry(staging, run(b"x"), key=b'"k"') == "k"

    def test_else_it_is_looked_for_in_the_record(self, staging: Staging) -> None:
        assert self.entry(staging, run(b'{"id": [7], "x": null}')) == [7]

    @pytest.mark.parametrize(
        "line", [b"", b"[1]", b"{", b'{"x": 1}', b"\xff", b'{"id": ' + b"[" * 9999 + b"]" * 9999 + b"}"]
    )
    def test_may_not_be_had(self, staging: Staging, line: bytes) -> None:
        assert self.entry(staging, run(line)) is None

    @pytest.mark.parametrize("key", [b"12345678901234567890123", b"1.50", b"-0", b"1e400", b'{"b64" : "AA==" }'])
    def test_is_the_text_that_it_came_as(self, staging: Staging, key: bytes) -> None:
        given: list[tuple[Run, dict[str, Any]]] = [
            (run(b"x"), {"key": key}),
            (run(b'{"x": null, "id": ' + key + b"}"), {}),
        ]
        for lines, rest in given:
            log = ErrorLog(staging, 3, "id")
            refuse(log, 0, lines=lines, **rest)
            part = log.close()
            assert part is not None
            assert storage.read_bytes(staging.part(part.name)).endswith(b',"key":' + key + b"}\n")

    def test_of_a_parquet_file(self, staging: Staging) -> None:
        table = pa.record_batch({"id": [b"a", b"\xff"]})
        assert self.entry(staging, Rows(table, 0, 0), 1) == {"b64": "/w=="}
        assert self.entry(staging, Rows(pa.record_batch({"x": [1]}), 0, 0)) is None

    def test_is_not_there_if_the_job_has_none(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        refuse(log, 0)
        assert "key" not in written(staging, log)[0]


class TestStats:
    def test_count_messages_the_most_frequent_first(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        for row, message in enumerate(["b", "a", "a", "c", "a", "b"]):
            refuse(log, row, message)
        log.close()
        assert log.stats() == (("a", 3), ("b", 2), ("c", 1))

    def test_hold_a_hundred_messages_and_the_rest_together(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        for number in range(150):
            refuse(log, 0, f"message {number}")
        refuse(log, 0, "message 3")
        log.close()
        stats = dict(log.stats())
        assert len(stats) == 101
        assert stats["other errors"] == 50
        assert sum(stats.values()) == log.count == 151

    def test_cut_long_messages_and_so_does_the_file(self, staging: Staging) -> None:
        log = ErrorLog(staging, 3, None)
        refuse(log, 0, "x" * 5000)
        assert written(staging, log)[0]["message"] == "x" * 2000
        assert log.stats() == (("x" * 300, 1),)
