"""Field masks: what an answer shall have."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.service.rest import field_masks
from batchpredict.service.rest.errors import Problem

DOCUMENT = {
    "jobs": [{"jobId": "a", "predictionInput": {"region": "r", "uri": "u"}, "labels": {"x": "1"}}, {"jobId": "b"}],
    "nextPageToken": "t",
}


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        ("nextPageToken", {"nextPageToken": "t"}),
        ("jobs/jobId", {"jobs": [{"jobId": "a"}, {"jobId": "b"}]}),
        ("jobs(jobId)", {"jobs": [{"jobId": "a"}, {"jobId": "b"}]}),
        ("jobs(predictionInput/region)", {"jobs": [{"predictionInput": {"region": "r"}}, {}]}),
        ("jobs/predictionInput(region,uri)", {"jobs": [{"predictionInput": {"region": "r", "uri": "u"}}, {}]}),
        ("jobs/labels,jobs/jobId", {"jobs": [{"jobId": "a", "labels": {"x": "1"}}, {"jobId": "b"}]}),
        ("jobs/labels,jobs", {"jobs": DOCUMENT["jobs"]}),
        ("jobs,jobs/labels", {"jobs": DOCUMENT["jobs"]}),
        ("*", DOCUMENT),
        ("jobs/*", {"jobs": DOCUMENT["jobs"]}),
        (" jobs ( jobId ) , nextPageToken ", {"jobs": [{"jobId": "a"}, {"jobId": "b"}], "nextPageToken": "t"}),
        ("nothing", {}),
        ("nextPageToken/x", {"nextPageToken": "t"}),
    ],
)
def test_what_is_asked_for_is_left(mask, left):
    assert field_masks.apply(field_masks.parse(mask), DOCUMENT) == left


@pytest.mark.parametrize(
    "mask", ["(", ")", "a(", "a()", "a)", "a,", ",a", "a//b", "a/", "/a", "a(b", "a b", "a;b", "a(b))"]
)
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(Problem, match="Invalid field selection"):
        field_masks.parse(mask)


@given(st.text(alphabet="ab,/()* x", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_mask_or_refused(text):
    with contextlib.suppress(Problem):
        field_masks.apply(field_masks.parse(text), {"a": {"b": [{"a": 1}]}, "b": 2})


def test_a_mask_that_is_nested_too_deeply_is_refused():
    with pytest.raises(Problem):
        field_masks.parse("a/" * 900 + "a")
    with pytest.raises(Problem, match="at most 2000 characters"):
        field_masks.parse("a" * 3000)


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ("", ()),
        ("labels", ("labels",)),
        ("labels, etag,labels", ("labels", "etag")),
        ("defaultVersion.name,description", ("default_version.name", "description")),
    ],
)
def test_update_masks_are_in_snake_case(given, paths):
    assert field_masks.paths(given) == paths
