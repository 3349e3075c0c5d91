"""The reader of the pages notices when an example does not do what its page says."""

from __future__ import annotations

import pytest
from pages import HERE, Printed, Run, Write
from reader import Reader, compare


def printed(text: str, language: str = "") -> Printed:
    return Printed("page.md", 7, text, language)


def run(text: str, status: int = 0) -> Run:
    return Run("page.md", 7, text, "bash", HERE, status, False)


@pytest.mark.parametrize(
    ("language", "shown", "found"),
    [
        ("json", '{"errorCount": "0", "nodeHours": 0.1}', '{\n "nodeHours": 0.25,\n "errorCount": "0"\n}\n'),
        ("json", '{"y":2.0}\n{"y":4.0}', '{"y": 2.0}\n{"y": 4.0}\n'),
        ("json", '{"source": "/home/me/in"}', '{"source": "/somewhere/in"}'),
        ("", "a.b\n…\nc\n", "a.b\n1\n2\nc\n"),
    ],
)
def test_what_the_page_shows_was_printed(language, shown, found):
    compare(found, printed(shown, language), {"/home/me": "/somewhere"})


@pytest.mark.parametrize(
    ("language", "shown", "found"),
    [
        ("json", '{"errorCount": "0"}', '{"errorCount": "1"}'),
        ("json", '{"errorCount": "0"}', '{"errorCount": "0", "more": 1}'),
        ("json", '{"nodeHours": 0.1}', '{"nodeHours": "0.1"}'),
        ("json", '{"y": 2}', '{"y": 2}\n{"y": 4}'),
        ("", "a.b\n", "a-b\n"),
        ("", "a\n…\nc\n", "a\n1\nc\nd\n"),
    ],
)
def test_what_the_page_shows_was_not_printed(language, shown, found):
    with pytest.raises(AssertionError, match=r"^page\.md:7 does not show what was printed"):
        compare(found, printed(shown, language), {})


@pytest.mark.parametrize("block", [run("false; true"), run("false | true"), run("true", 2), run("exit 3", 2)])
def test_an_example_that_ends_otherwise(block, tmp_path):
    with pytest.raises(AssertionError, match=r"^page\.md:7 ended with"):
        Reader(str(tmp_path)).do(block, {})


def test_an_example_runs_beside_testdata_and_the_files_that_were_written(tmp_path):
    reader = Reader(str(tmp_path))
    reader.do(Write("page.md", 7, "host:1\n", "in/file"), {"host:1": "there:2"})
    assert reader.do(run("cat in/file; ls"), {}) == "there:2\nin\ntestdata\n"


def test_a_file_on_a_store_that_is_not_there_is_not_written(tmp_path):
    Reader(str(tmp_path)).do(Write("page.md", 7, "{}", "gs://bucket/job.json"), {})
