"""The README and the pages under docs/ are whole: blocks are tested, links lead somewhere, nothing is left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
import support
from markdown_it.token import Token
from pages import DOCS, README, NoMarker, Printed, Run, Write, blocks, pages, read, tokens

import batchpredict
from batchpredict.cli.parser import build
from batchpredict.job.prediction import InstanceConfig, PredictionInput
from batchpredict.job.wire import to_camel

# The README is a page: what does not fit belongs on one of the others.
_LONGEST_README = 160


def links(page: str) -> Iterator[str]:
    """Every link of a page that leads to a file or a heading of the checkout."""
    for token in tokens(page):
        for child in token.children or ():
            target = str(child.attrGet("href") or "")
            if child.type == "link_open" and not re.match(r"[a-z]+:", target):
                yield target


def headings(page: str) -> list[str]:
    """The headings of a page, as links name them."""
    parsed = tokens(page)
    titles = [parsed[at + 1].content for at, token in enumerate(parsed) if token.type == "heading_open"]
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def code(page: str) -> set[str]:
    """What a page sets as code within its text."""

    def within(parsed: list[Token]) -> Iterator[str]:
        for token in parsed:
            if token.type == "code_inline":
                yield token.content
            yield from within(token.children or [])

    return set(within(tokens(page)))


@pytest.mark.parametrize("page", pages())
def test_every_block_says_how_it_is_tested(page):
    try:
        found = blocks(page)
    except NoMarker as error:
        pytest.fail(str(error))
    for before, block in zip([None, *found], found, strict=False):
        if isinstance(block, Printed):
            assert isinstance(before, Run), f"{block.place}: nothing is run right before it"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```sh\nls\n```\n", "2: no comment"),
        ("<!-- run -->\n\n```sh\nls\n```\n", "4: no comment"),
        ("<!-- run it -->\n```sh\nls\n```\n", "3: 'run it' is no way"),
        ("<!-- run -->\n```yaml\na: 1\n```\n", "3: a block of 'yaml' cannot be run"),
        ("Text:\n\n    ls\n", "3: a block that is only indented"),
    ],
)
def test_a_block_without_a_fitting_marker_is_found(text, fault, monkeypatch):
    monkeypatch.setattr("pages.read", lambda page: text)
    with pytest.raises(NoMarker, match=f"^page.md:{re.escape(fault)}"):
        blocks("page.md")


def test_no_two_pages_write_the_same_file():
    names = [block.name for page in pages() for block in blocks(page) if isinstance(block, Write)]
    assert len(names) == len(set(names))


def test_the_readme_is_one_page():
    assert len(read(README).splitlines()) <= _LONGEST_README


def test_the_readme_leads_to_every_page():
    found = {link.partition("#")[0] for link in links(README)}
    assert found >= set(pages()) - {README}


@pytest.mark.parametrize("page", [*pages(), "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, heading = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(os.path.join(support.ROOT, target)), link
        if heading:
            assert heading in headings(target), link


def test_the_reference_has_every_flag_of_the_command():
    _, commands = build()
    flags = {flag for flag in commands["predict"].flags() if flag.startswith("--")} - {"--help"}
    text = read(f"{DOCS}/reference.md")
    assert [flag for flag in sorted(flags) if f"`{flag}`" not in text and f"`{flag} " not in text] == []


def test_the_reference_has_every_field_of_the_job():
    config = {f"instanceConfig.{to_camel(name)}" for name in InstanceConfig.model_fields}
    fields = {to_camel(name) for name in PredictionInput.model_fields} - {"instanceConfig"}
    assert sorted((fields | config) - code(f"{DOCS}/reference.md")) == []


def test_the_page_about_python_has_everything_that_the_package_exports():
    exported = set(batchpredict.__all__) - {"__version__", "errors"}
    text = read(f"{DOCS}/python.md")
    assert [name for name in sorted(exported) if not re.search(rf"\b{name}\b", text)] == []
