"""What the command says of a success of which records have failed."""

from __future__ import annotations

import json

import pytest
import support

from batchpredict.cli.predict import _remark, failed_records
from batchpredict.job import PredictionOutput


def output(folder: str, predictions: int, errors: int) -> PredictionOutput:
    return PredictionOutput(output_path=folder, prediction_count=predictions, error_count=errors)


def test_no_failed_record_is_no_news(out):
    assert failed_records(output(out, 3, 0)) == ""


def test_nothing_that_had_failed(out):
    said = "no record has failed in 'former': there was nothing to score"
    assert _remark(output(out, 0, 0), former="former") == said
    assert _remark(output(out, 0, 0)) == _remark(output(out, 3, 0), former="former") == ""


def test_some(out):
    assert failed_records(output(out, 3000, 2)) == f"2 of 3,002 records failed; see {out}/prediction.errors-*"


def test_all_of_them_with_the_most_frequent_message(tmp_path):
    lines = [json.dumps({"message": message}) for message in ("one\nline", "x is no number", "x is no number")]
    support.write(tmp_path / "prediction.errors-00000-of-00001", lines)
    assert failed_records(output(str(tmp_path), 0, 3)) == (
        "NO record could be scored: all 3 failed, most often by: x is no number; see "
        f"{tmp_path}/prediction.errors-*"
    )


@pytest.mark.parametrize("text", [None, "", "not JSON\n", "[]\n", '{"code": "x"}\n'])
def test_all_of_them_where_no_message_is_at_hand(text, tmp_path):
    if text is not None:
        support.write(tmp_path / "prediction.errors-00000-of-00001", text)
    assert failed_records(output(str(tmp_path), 0, 3)) == (
        f"NO record could be scored: all 3 failed; see {tmp_path}/prediction.errors-*"
    )
