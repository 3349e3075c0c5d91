"""The named errors of jobs that have really run: published, and while they wait in the staging folder."""

from __future__ import annotations

import html
import itertools
import json
import os
import re
import threading
from collections.abc import Mapping
from typing import Any

import pytest
import support
from service.console_support import ANN, PROJECT, World

from batchpredict.errors import InvalidName
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task
from batchpredict.service.console import failures
from batchpredict.service.console.failures import Position, parse_stats
from batchpredict.service.console.reads import BoundedReads, TooSlow

ERRORS = f"/console/projects/{PROJECT}/jobs/night/errors"


def lines(shop: World, *texts: str) -> str:
    path = f"{shop.root}/lines.json"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in texts)
    return path


def asked(shop: World, inputs: str, **fields: Any) -> dict[str, Any]:
    return support.job(f"{shop.root}/model", inputs, f"{shop.root}/out", **fields)


def scored(shop: World, document: Mapping[str, Any], *, splits: int | None = None, error: str = "") -> None:
    """Run the job `night`, or only its first splits, and tell the store what a worker would."""
    shop.job("night", asked=document["predictionInput"])
    generation = shop.run("night")
    if splits is None:
        output = support.score_in_process(dict(document)).to_wire()
        _, staging = support.planned(dict(document))
        shop.end("night", generation, output=output, progress={"staging": staging.root})
        return
    prepared = prepare(Request(support.spec_of(dict(document))))
    predict = support.predictor_of(prepared)
    for split in itertools.islice(support.todo(prepared), splits):
        predict(Task(split))
    progress = {"done": 1, "total": 3, "staging": prepared.staging.root}
    output = {"predictionCount": "1", "errorCount": "3"}
    if error:
        shop.end("night", generation, error=error, output=output, progress=progress)
    else:
        from batchpredict.service.queue.lifecycle import Advance

        shop.store.tell(PROJECT, "night", Advance(generation), output, progress)


def rows(text: str) -> list[list[str]]:
    """The cells of each error of a page, as a reader sees them."""
    table = text[text.index('<table class="failures"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        found.append([re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", cell))).strip() for cell in cells])
    return found


def every_page(shop: World) -> list[list[str]]:
    found: list[list[str]] = []
    path = ERRORS
    while path:
        answer = shop.client(ANN).get(path)
        assert answer.status_code == 200
        if '<table class="failures"' in answer.text:
            some = rows(answer.text)
            assert len(some) <= failures.PAGE
            found += some
        more = re.search(r'<a rel="next" href="([^"]+)"', answer.text)
        path = ERRORS + more[1] if more else ""
    return found


def test_published_errors_name_place_reason_and_instance(shop):
    path = lines(shop, '{"id": 1, "x": 1}', '{"id": "b", "x": "<b>many</b>"}')
    scored(shop, asked(shop, path, instanceConfig={"keyField": "id"}))
    ((where, what, instance),) = every_page(shop)
    assert where == f"{path} line 2, byte 18 key b"
    assert what == "INVALID_INPUTS Input mismatch: input x takes one float32, got a string."
    assert instance == '{"id": "b", "x": "<b>many</b>"}'


def test_published_errors_come_a_page_at_a_time_in_order(shop):
    path = lines(shop, *(f'{{"x": "no {number}"}}' for number in range(130)))
    scored(shop, asked(shop, path, splitBytes=500))
    found = every_page(shop)
    assert [row[2] for row in found] == [f'{{"x": "no {number}"}}' for number in range(130)]
    assert len([name for name in os.listdir(f"{shop.root}/out") if name.startswith("prediction.errors-")]) > 3


def test_the_most_frequent_errors_are_counted_on_the_page_of_the_job(shop):
    path = lines(shop, *['{"x": "no"}'] * 3, '{"x": 1}', '{"y": 1}')
    scored(shop, asked(shop, path))
    text = shop.client(ANN).get(f"/console/projects/{PROJECT}/jobs/night").text
    table = text[text.index('<table class="summary"') :]
    counts = re.findall(r'<td class="number">(\d+)</td>', table[: table.index("</table>")])
    assert counts == ["3", "1"]


@pytest.mark.parametrize("error", ["", "It was too much."])
def test_errors_of_committed_splits_are_read_before_anything_is_published(shop, error):
    path = lines(shop, *(f'{{"x": "no {number}"}}' for number in range(60)))
    scored(shop, asked(shop, path, splitBytes=300), splits=2, error=error)
    found = every_page(shop)
    assert found
    assert [row[2] for row in found] == [f'{{"x": "no {number}"}}' for number in range(len(found))]
    assert len(found) < 60
    assert found[0][0] == f"{path} byte 0"
    text = shop.client(ANN).get(ERRORS).text
    assert "committed" in text
    assert 'class="summary"' in text


def test_a_job_without_errors_says_so(shop):
    scored(shop, asked(shop, lines(shop, '{"x": 1}')))
    assert "No record failed." in shop.client(ANN).get(ERRORS).text


def test_a_job_that_has_reported_nothing_has_no_errors_yet(shop):
    shop.job("night")
    assert shop.client(ANN).get(ERRORS).status_code == 200


def test_the_results_of_another_job_in_the_folder_are_not_taken_for_its_own(shop):
    scored(shop, asked(shop, lines(shop, '{"x": "secret of night"}')))
    support.score_in_process(asked(shop, lines(shop, '{"x": "secret of another"}')), overwrite=True)
    text = shop.client(ANN).get(ERRORS).text
    assert "secret" not in text
    assert "Another job has put its results" in text


def test_a_folder_that_is_no_longer_below_a_root_is_not_read(shop):
    outside = f"{os.path.dirname(shop.root)}/outside"
    document = support.job(f"{shop.root}/model", lines(shop, '{"x": "secret"}'), outside)
    scored(shop, document)
    text = shop.client(ANN).get(ERRORS).text
    assert "secret" not in text
    assert "may not be read any more" in text


def test_a_folder_that_became_a_link_that_leads_out_is_not_read(shop):
    scored(shop, asked(shop, lines(shop, '{"x": "secret"}')))
    os.rename(f"{shop.root}/out", f"{os.path.dirname(shop.root)}/moved")
    os.symlink(f"{os.path.dirname(shop.root)}/moved", f"{shop.root}/out")
    assert "secret" not in shop.client(ANN).get(ERRORS).text


def test_a_staging_folder_elsewhere_is_not_read(shop):
    """The store is told it by the process of a job, which runs what is in a model."""
    path = lines(shop, '{"x": "secret"}')
    scored(shop, asked(shop, path), splits=1)
    secret = support.planned(asked(shop, path))[1].root
    shop.job("day", asked={"outputPath": f"{shop.root}/elsewhere"})
    shop.run("day", progress={"staging": secret}, output={"errorCount": "1"})
    text = shop.client(ANN).get(f"/console/projects/{PROJECT}/jobs/day/errors").text
    assert "secret" not in text


def test_files_that_are_gone_are_said_to_be_so(shop):
    scored(shop, asked(shop, lines(shop, '{"x": "no"}')))
    os.remove(f"{shop.root}/out/prediction.errors-00000-of-00001")
    answer = shop.client(ANN).get(ERRORS)
    assert answer.status_code == 200
    assert rows_or_none(answer.text) is None


def rows_or_none(text: str) -> list[list[str]] | None:
    return rows(text) if '<table class="failures"' in text else None


# Damage, and files that are larger than a page may read --------------------------------------------------------


def replace_errors(shop: World, content: bytes) -> None:
    with open(f"{shop.root}/out/prediction.errors-00000-of-00001", "wb") as file:
        file.write(content)


def test_a_line_that_is_longer_than_a_page_may_read_is_passed_over(shop):
    scored(shop, asked(shop, lines(shop, '{"x": "no"}')))
    long = json.dumps({"message": "x" * 3 * failures.WINDOW}).encode()
    replace_errors(shop, b'{"message": "first"}\n' + long + b'\n{"message": "last"}\n')
    found = [row[1] for row in every_page(shop)]
    assert found == ["first", "This error is too long to be shown.", "last"]


def test_lines_that_are_no_errors_are_shown_as_they_are(shop):
    scored(shop, asked(shop, lines(shop, '{"x": "no"}')))
    replace_errors(
        shop, b'[1]\n\xff<i>\n{"message": {"a": 1}, "records": "many", "instance": [1]}\n{"message": "\\ud800"}\n'
    )
    found = every_page(shop)
    assert [row[2] for row in found] == ["[1]", "\ufffd<i>", "[1]", ""]
    assert found[3][1] == "\\ud800"


@pytest.mark.parametrize("token", ["x", "!!", "ééé", "MA", Position(10**8, 10**17).token(), "a" * 4000])
def test_a_token_that_leads_nowhere_is_harmless(shop, token):
    scored(shop, asked(shop, lines(shop, '{"x": "no"}')))
    answer = shop.client(ANN).get(ERRORS, params={"pageToken": token})
    assert answer.status_code in (200, 404)
    assert rows_or_none(answer.text) is None


def test_tokens_of_errors_come_back_as_they_went():
    for position in (Position(), Position(3, 5), Position(10**8, 10**17, inside=True)):
        assert Position.of(position.token()) == position
    with pytest.raises(InvalidName):
        Position.of("")


def test_the_summary_reads_what_the_engine_writes_and_passes_over_the_rest():
    data = b"('it\\'s', 3)\n('b', 2)\nnothing\n(1, 2)\n('cut"
    assert parse_stats(data) == [("it's", 3), ("b", 2)]


# Stores that are slow -----------------------------------------------------------------------------------------


def test_a_page_does_not_wait_for_a_store_that_does_not_answer():
    reads = BoundedReads(seconds=0.05, most=2)
    silent = threading.Event()
    try:
        for _ in range(2):
            with pytest.raises(TooSlow, match="did not answer"):
                reads(silent.wait)
        # Those two are still waiting, so no third one begins.
        with pytest.raises(TooSlow, match="Too many"):
            reads(silent.wait)
    finally:
        silent.set()


def test_a_read_gives_what_it_found_and_raises_what_it_met():
    reads = BoundedReads(most=1)
    for _ in range(3):
        assert reads(lambda: "found") == "found"
        with pytest.raises(TimeoutError):
            reads(raise_timeout)


def raise_timeout() -> None:
    raise TimeoutError


def test_a_job_with_thousands_of_paths_is_shown_in_part(shop):
    shop.job("night", asked={"inputPaths": [f"{shop.root}/{number:0200}" for number in range(5000)]})
    answer = shop.client(ANN).get(f"/console/projects/{PROJECT}/jobs/night")
    assert "more characters" in answer.text
    assert len(answer.text) < 150_000
