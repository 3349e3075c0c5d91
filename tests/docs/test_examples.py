"""The examples of the README and of the pages under docs/ do what the pages say."""

from __future__ import annotations

import pytest
from pages import HERE, Run, blocks, pages
from reader import Reader
from servers import SERVERS, SERVICE, serving


def _sessions() -> list[object]:
    """Page and kind of server, for each kind that the examples of a page need."""
    found: list[object] = []
    for page in pages():
        needed = {block.server for block in blocks(page) if isinstance(block, Run)}
        for server in (HERE, *SERVERS):
            if server in needed:
                marks = [] if server in (HERE, SERVICE) else [getattr(pytest.mark, server)]
                if not marks:
                    marks.append(pytest.mark.long)
                # Several whole jobs, on a cluster that shares the machine with them.
                marks.append(pytest.mark.timeout(900))
                found.append(pytest.param(page, server, marks=marks, id=f"{page}-{server}"))
        assert needed <= {HERE, *SERVERS}, f"{page}: no tests have a server of a kind among {needed}"
    return found


@pytest.fixture(scope="session")
def reader(request, tmp_path_factory) -> Reader:
    """Somebody who has done what the README begins with."""
    found = Reader(str(tmp_path_factory.mktemp("reader")))
    with serving(HERE, request, found.folder) as substitutions:
        found.begin(substitutions)
    return found


# Beam's client of Dataflow has no other way to end its polling than to die of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("page", "server"), _sessions())
def test_the_examples_of_a_page_do_what_it_says(page, server, reader, request, tmp_path):
    with serving(server, request, str(tmp_path)) as substitutions:
        reader.read(page, server, substitutions)
