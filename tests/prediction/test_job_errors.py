"""What a job says of the records that it could not score: where they are, why, and how many there were."""

from __future__ import annotations

import base64
import json

import pytest
import support
from support import frame, score_in_process

DOUBLE = support.model("double")


@pytest.fixture
def hundred(tmp_path) -> tuple[str, list[bytes]]:
    """A hundred lines, five of them bad, of unlike lengths."""
    rows = [json.dumps({"x": number}).encode() for number in range(100)]
    rows[0] = b"not json"
    rows[41] = b'{"y": 1}'
    rows[42] = b'{"x": "text"}'
    rows[77] = b""
    rows[99] = b'{"x": [1, 2]}'
    return support.write(tmp_path / "in.json", b"\n".join(rows)), rows


BAD = [0, 41, 42, 77, 99]


@pytest.mark.parametrize("split_bytes", [10, 64, 333, 2**20])
def test_bad_lines_are_named_with_their_place_in_the_file(hundred, split_bytes, memory):
    source, rows = hundred
    output = score_in_process(support.job(DOUBLE, source, memory, splitBytes=split_bytes))
    assert support.counts(output) == (95, 5)
    assert [one["y"] for one in support.results(memory)] == [2.0 * n for n in range(100) if n not in BAD]
    errors = support.errors(memory)
    assert {error["source"] for error in errors} == {source}
    assert [error["index"] for error in errors] == BAD
    assert [error["line"] for error in errors] == [number + 1 for number in BAD]
    assert [error["offset"] for error in errors] == [len(b"\n".join([*rows[:number], b""])) for number in BAD]
    assert [error["instance"].encode() for error in errors] == [rows[number] for number in BAD]
    assert {error["code"] for error in errors} == {"INVALID_INPUTS"}
    assert errors[1]["message"] == "Expected tensor name: x, got tensor name: y."


def test_an_error_stands_in_the_shard_list_whatever_split_it_is_of(hundred, memory):
    source, _ = hundred
    score_in_process(support.job(DOUBLE, source, memory, splitBytes=100))
    shards = support.error_names(memory)
    assert 2 <= len(shards) <= 5
    assert shards == [f"prediction.errors-{shard:05}-of-{len(shards):05}" for shard in range(len(shards))]


def test_statistics_count_instances_by_message(tmp_path, memory):
    rows = ['{"x": 1}', "{", '{"z": 1}', '{"z": 2}', '{"z": "3"}', "{"]
    source = support.write(tmp_path / "in.json", rows)
    score_in_process(support.job(DOUBLE, source, memory, batchSize=64))
    stats = support.stats(memory)
    assert stats[0] == ("Expected tensor name: x, got tensor name: z.", 3)
    assert sum(count for _, count in stats) == 5
    text = support.read(memory, "prediction.errors_stats-00000-of-00001").decode()
    assert text.splitlines()[0] == "('Expected tensor name: x, got tensor name: z.', 3)"


def test_one_refused_record_costs_one_record(tmp_path, memory):
    values = [float(number) for number in range(200)]
    values[70] = values[130] = values[131] = -1.0
    source = support.write(tmp_path / "in.json", map(str, values))
    output = score_in_process(support.job(support.model("refuses_negative"), source, memory))
    assert support.counts(output) == (197, 3)
    errors = support.errors(memory)
    assert [error["index"] for error in errors] == [70, 130, 131]
    assert {error["code"] for error in errors} == {"FAILED_TO_RUN_MODEL"}
    assert all("negative x" in error["message"] for error in errors)


def test_outputs_that_cannot_be_written_are_errors_of_their_records(tmp_path, memory):
    source = support.write(tmp_path / "in.json", ["1", "-1", "2"])
    score_in_process(support.job(support.model("bad_text"), source, memory))
    assert support.results(memory) == [{"text": "fine"}, {"text": "fine"}]
    (error,) = support.errors(memory)
    assert (error["index"], error["code"], error["instance"]) == (1, "INVALID_OUTPUTS", "-1")


def test_an_error_shows_a_kilobyte_of_its_instance(tmp_path, memory):
    source = support.write(tmp_path / "in.json", ["ü" * 3000])
    score_in_process(support.job(DOUBLE, source, memory))
    (error,) = support.errors(memory)
    assert error["instance"] == "ü" * 500


def test_binary_instances_are_shown_in_base64(tmp_path, memory):
    source = support.write(tmp_path / "in.tfrecord", frame(b"\xff\x00\xfe"))
    score_in_process(support.job(DOUBLE, source, memory, "TF_RECORD"))
    (error,) = support.errors(memory)
    assert error["instance"] == {"b64": base64.b64encode(b"\xff\x00\xfe").decode()}


def test_keys_are_on_the_errors_too(tmp_path, memory):
    rows = ['{"id": "a", "x": 1}', '{"id": "b", "x": "bad"}', '{"id": "c", "x": -4}', "nothing", '{"x": 9}']
    source = support.write(tmp_path / "in.json", rows)
    config = {"keyField": "id"}
    score_in_process(support.job(support.model("refuses_negative"), source, memory, instanceConfig=config))
    keys = [(error["index"], error["key"]) for error in support.errors(memory)]
    assert (1, "b") in keys
    assert (2, "c") in keys
    assert (3, None) in keys
    assert support.results(memory)[0] == {"id": "a", "y": 1.0}


def test_a_record_that_is_too_long_is_counted_and_skipped(tmp_path, memory):
    long = '{"x": 1' + " " * 3000 + "}"
    source = support.write(tmp_path / "in.json", ["1", long, "3"])
    for split_bytes in (2**20, 700, 50):
        output = f"{memory}/{split_bytes}"
        score_in_process(support.job(DOUBLE, source, output, maxRecordBytes=1000, splitBytes=split_bytes))
        assert [one["y"] for one in support.results(output)] == [2.0, 6.0]
        (error,) = support.errors(output)
        assert (error["code"], error["line"], error["offset"]) == ("RECORD_TOO_LARGE", 2, 2)
        assert "1,000" in error["message"] or "1000" in error["message"]


def test_tfrecord_damage_costs_the_records_that_it_covers(tmp_path, memory):
    frames = [frame(b"%d" % number) for number in range(100, 150)]
    data = bytearray(b"".join(frames))
    at = [sum(map(len, frames[:number])) for number in range(51)]
    data[at[10] + 13] ^= 1  # a byte of the data of record 10
    data[at[20] + 2] ^= 1  # a byte of the length of record 20
    source = support.write(tmp_path / "in.tfrecord", bytes(data[:-2]))  # and the last record is cut off
    for split_bytes in (2**20, 100, 7):
        output = f"{memory}/{split_bytes}"
        result = score_in_process(support.job(DOUBLE, source, output, "TF_RECORD", splitBytes=split_bytes))
        errors = support.errors(output)
        assert [(error["code"], error["offset"]) for error in errors] == [
            ("CORRUPT_INPUT", at[10]),
            ("CORRUPT_INPUT", at[20]),
            ("CORRUPT_INPUT", at[49]),
        ]
        assert [error["index"] for error in errors] == [10, 20, 49]
        expected = [2.0 * (100 + number) for number in range(50) if number not in (10, 20, 49)]
        assert [one["y"] for one in support.results(output)] == expected
        assert support.counts(result) == (47, 3)


def test_a_gzip_file_that_was_cut_off_gives_what_is_left_of_it(tmp_path, memory):
    with open(support.digits("tfrecord_gzip", "part-0.tfrecord.gz"), "rb") as file:
        data = file.read()
    source = support.write(tmp_path / "cut.tfrecord.gz", data[: len(data) // 2])
    document = support.job(support.DIGITS_MODEL, source, memory, "TF_RECORD_GZIP", signatureName="serving_examples")
    predictions, errors = support.counts(score_in_process(document))
    assert 100 < predictions < 599
    assert errors == 1
    (error,) = support.errors(memory)
    assert (error["code"], error["source"]) == ("CORRUPT_INPUT", source)


def test_a_model_that_refuses_everything_is_not_asked_for_ever(tmp_path, memory):
    source = support.write(tmp_path / "in.json", map(str, range(1000)))
    document = support.job(support.model("refuses_all"), source, memory, batchSize=10)
    assert support.counts(score_in_process(document)) == (0, 1000)
    assert support.stats(memory)[0][1] == 1000
    (manifest,) = support.manifests(document)
    assert manifest.batch_calls == 0
