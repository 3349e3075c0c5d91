"""The Python API, called more than once in a process."""

from __future__ import annotations

import support

import batchpredict


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
