"""The pages that are shipped, and the blocks of code in them.

In the line before each block a comment, which no reader of the rendered page sees, says how the block is tested:

    <!-- run -->                        its text runs, as shell or as Python, and ends well
    <!-- run, exit 2 -->                it ends with this status
    <!-- run on flink -->               it runs where there is a Flink cluster; for the others see `servers`
    <!-- write job.json -->             its text is the file of that name (or URL) for the blocks that come after it
    <!-- printed -->                    what the block before has printed
    <!-- shown, not run: REASON -->     it cannot be run here
    <!-- command: main -->              run; one of the two commands of the README, which are also read by `.ci/run`
    <!-- command: test -->              shown, not run: it runs these tests
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import support
from markdown_it import MarkdownIt
from markdown_it.token import Token

README = "README.md"
DOCS = "docs"

_MARKER = re.compile(r"<!-- (.+) -->\s*")
_RUN = re.compile(r"(?:run|command: main)(?: on (?P<server>\w+))?(?:, exit (?P<status>\d+))?")
_WRITE = re.compile(r"write (?P<name>\S+)")
_SHOWN = re.compile(r"shown, not run: (?P<reason>.+)|command: test")
_LANGUAGES = {"": "bash", "sh": "bash", "python": "python"}

HERE = "here"
"""What needs no server."""


class NoMarker(Exception):
    """A block of code of which nobody knows how it is tested; the text says which, and why."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
      page: path of its page in the checkout.
      line: number of its first line of text, from 1.
      text: what stands in it.
    """

    page: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Run(Block):
    """A block that is run.

    Attributes:
      program: "bash" or "python".
      server: what it needs: `HERE`, or the name of a kind of server.
      status: exit status that it ends with.
      is_main: it is the README's main command.
    """

    program: str
    server: str
    status: int
    is_main: bool


@dataclass(frozen=True)
class Write(Block):
    """A block that is a file; `name` is its path in the folder of the examples, or a URL."""

    name: str


@dataclass(frozen=True)
class Printed(Block):
    """What the run before it prints."""

    language: str


@dataclass(frozen=True)
class Shown(Block):
    """A block that cannot be run by tests."""


def pages() -> list[str]:
    """Every page that is shipped, the README first, as paths in the checkout."""
    found = sorted(name for name in os.listdir(os.path.join(support.ROOT, DOCS)) if name.endswith(".md"))
    return [README, *(f"{DOCS}/{name}" for name in found)]


def read(page: str) -> str:
    with open(os.path.join(support.ROOT, page), encoding="utf-8") as file:
        return file.read()


def tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(read(page))


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
      NoMarker: for the first one that does not say how it is tested.
    """
    return list(_blocks(page, tokens(page)))


def _blocks(page: str, parsed: Sequence[Token]) -> Iterator[Block]:
    before: Token | None = None
    for token in parsed:
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            line = token.map[0] + 1
            if token.type == "code_block":
                raise NoMarker(f"{page}:{line}: a block that is only indented; put it between ```")
            adjacent = before is not None and before.map is not None and before.map[1] == token.map[0]
            marker = before.content.strip().splitlines()[-1] if adjacent and before else ""
            yield _block(page, line + 1, marker, token)
        before = token if token.type == "html_block" else None


def _block(page: str, line: int, marker: str, token: Token) -> Block:
    found = _MARKER.fullmatch(marker)
    if found is None:
        raise NoMarker(f"{page}:{line}: no comment in the line before the block says how it is tested")
    how, language = found[1], token.info.strip()
    common = page, line, token.content
    if how == "printed":
        return Printed(*common, language)
    if write := _WRITE.fullmatch(how):
        return Write(*common, write["name"])
    if _SHOWN.fullmatch(how):
        return Shown(*common)
    run = _RUN.fullmatch(how)
    if run is None:
        raise NoMarker(f"{page}:{line}: '{how}' is no way to test a block; see {__name__}.py")
    if language not in _LANGUAGES:
        raise NoMarker(f"{page}:{line}: a block of '{language}' cannot be run")
    server, status = run["server"] or HERE, int(run["status"] or 0)
    return Run(*common, _LANGUAGES[language], server, status, how == "command: main")
