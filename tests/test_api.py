"""The Python API, called more than once in a process."""

from __future__ import annotations

import pytest
import support

import batchpredict
from batchpredict.runners import Unobserved


@pytest.mark.long
def test_a_job_again_and_again_in_one_process(tmp_path, out):
    source = support.write(tmp_path / "in.json", ["1", "bad", "3"])
    document = support.job(support.model("double"), source, out)
    first = batchpredict.predict(document, workers=1)
    assert support.counts(first) == (2, 1)
    assert batchpredict.predict(document, workers=1) == first
    published, before = support.published(out), support.manifests(document)
    again = batchpredict.predict(document, workers=1, fresh=True)
    assert support.counts(again) == (2, 1)
    assert support.published(out) == published
    assert [one.results.name for one in support.manifests(document)] != [one.results.name for one in before]


class Messages(Unobserved):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str, task: str = "") -> None:
        self.texts.append(text)


def test_a_job_that_was_finished_already_says_so(tmp_path, out):
    document = support.job(support.model("double"), support.write(tmp_path / "in.json", ["1"]), out)
    support.score_in_process(document)
    observer = Messages()
    batchpredict.predict(document, observer=observer)
    assert observer.texts == ["the job was finished already; nothing was scored"]
