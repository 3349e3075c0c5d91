"""The text of a filter: what may be written, and what is said of what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import BatchPredictError
from batchpredict.service.filters import (
    JOB_FIELDS,
    VERSION_FIELDS,
    And,
    Comparison,
    Filter,
    FilterInvalid,
    Not,
    Or,
    matches,
    parse,
)

A, B, C = (Comparison("job_id", "=", name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        (" \t\n", None),
        ("jobId:census*", Comparison("job_id", ":", "census*")),
        ("job_id:census*", Comparison("job_id", ":", "census*")),
        ("jobId = a", A),
        ("state=failed", Comparison("state", "=", "FAILED")),
        ("state:CANC*", Comparison("state", ":", "CANC*")),
        ("labels.team=blue", Comparison("labels.team", "=", "blue")),
        ("labels.airflow-version:*", Comparison("labels.airflow-version", ":", "*")),
        ("jobId=a AND jobId=b", And((A, B))),
        ("jobId=a jobId=b", And((A, B))),
        ("jobId=a jobId=b AND jobId=c", And((A, B, C))),
        ("jobId=a OR jobId=b OR jobId=c", Or((A, B, C))),
        ("jobId=a jobId=b OR jobId=c", And((A, Or((B, C))))),
        ("jobId=a OR jobId=b jobId=c", And((Or((A, B)), C))),
        ("(jobId=a AND jobId=b) OR jobId=c", Or((And((A, B)), C))),
        ("NOT jobId=a", Not(A)),
        ("-jobId=a", Not(A)),
        ("NOT NOT jobId=a", Not(Not(A))),
        ("-(jobId=a OR jobId=b) jobId=c", And((Not(Or((A, B))), C))),
        ("NOT jobId=a AND jobId=b", And((Not(A), B))),
        ("((jobId=a))", A),
        ('jobId="a"', A),
        ("jobId='a'", A),
        ('errorMessage="No \\"input\\" \\\\ (here)"', Comparison("error_message", "=", 'No "input" \\ (here)')),
        ("errorMessage='say \"so\"'", Comparison("error_message", "=", 'say "so"')),
        ('labels.x=""', Comparison("labels.x", "=", "")),
        ('createTime>"2017-01-01T00:00:00Z"', Comparison("create_time", ">", "2017-01-01T00:00:00Z")),
        ("createTime>=2017-01-01T02:00:00.5+02:00", Comparison("create_time", ">=", "2017-01-01T00:00:00.500Z")),
        ("endTime<2017-01-01", Comparison("end_time", "<", "2017-01-01T00:00:00Z")),
        ("endTime:*", Comparison("end_time", ":", "*")),
    ],
)
def test_what_a_filter_says(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("census", 7, 'an operator (:, =, !=, <, <=, >, >=) is expected after "census"'),
        ("jobId=a and jobId=b", 9, "AND, OR and NOT are written in capitals"),
        ("jobId=a AND", 12, "ends where a comparison"),
        ("jobId=a OR OR jobId=b", 12, 'a comparison such as state=FAILED is expected, and not "OR"'),
        ("AND jobId=a", 1, 'and not "AND"'),
        ("jobId=a OR jobId=b AND jobId=c", 20, "use parentheses"),
        ("jobId=", 7, "ends where a value is expected"),
        ("jobId=)", 7, 'a value is expected, and not ")"'),
        ("jobId= AND state=FAILED", 8, "put it between quotes"),
        ("(jobId=a", 1, 'this "(" is not closed'),
        ("jobId=a) jobId=b", 8, 'this ")" closes nothing'),
        ("()", 2, 'and not ")"'),
        ('jobId="a', 7, "these quotes are not closed"),
        ('jobId="a\\"', 7, "these quotes are not closed"),
        ('jobId="a"b', 10, "a blank is expected"),
        ("name=a", 1, 'there is no field "name"; there are jobId, state, createTime, startTime, endTime'),
        ("labels=a", 1, "labels.KEY"),
        ("labels.=a", 1, "labels.KEY"),
        ("state=BROKEN", 7, 'there is no state "BROKEN"; there are QUEUED, PREPARING'),
        ("state:X*", 7, 'there is no state "X*"'),
        ("jobId<a", 6, "only times are compared by <; jobId is by :, = and !="),
        ("createTime>yesterday", 12, 'a time such as "2017-01-01T00:00:00Z"'),
        ("createTime>2017-02-30", 12, "a time such as"),
        ("createTime>0001-01-01T00:00:00+10:00", 12, "a time such as"),
        ("createTime>2017*", 12, "a time such as"),
        ("-", 2, "ends where a comparison"),
        ("(" * 60 + "jobId=a" + ")" * 60, 52, "more than 50"),
        ("-" * 4000 + "jobId=a", 52, "more than 50"),
        (" ".join(["jobId=a"] * 101), 801, "more than 100 comparisons"),
        ("jobId=" + "a" * 4096, 4097, "longer than 4096"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, position, words):
    with pytest.raises(FilterInvalid) as caught:
        parse(text)
    assert caught.value.position == position
    assert str(caught.value).startswith(f"The filter is not valid at character {position}: ")
    assert words in str(caught.value)
    assert isinstance(caught.value, BatchPredictError)


def test_versions_have_fields_of_their_own():
    assert parse("isDefault=True", VERSION_FIELDS) == Comparison("is_default", "=", "true")
    with pytest.raises(FilterInvalid, match="true or false"):
        parse("isDefault=yes", VERSION_FIELDS)
    with pytest.raises(FilterInvalid, match="there is no field"):
        parse("jobId=a", VERSION_FIELDS)


@given(st.text(alphabet="abANDORT()\"'\\:=!<>-*. jobIdstae\u2003é", max_size=60))
def test_any_text_is_a_filter_or_an_error_with_a_place_in_it(text):
    place = 1
    try:
        parse(text)
    except FilterInvalid as error:
        place = error.position
    assert 1 <= place <= len(text) + 1


names = st.text(alphabet="abc \"'\\()*é", max_size=4)
comparisons = st.builds(
    Comparison, st.sampled_from(["job_id", "labels.k", "labels.x-y"]), st.sampled_from([":", "=", "!="]), names
)
trees = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.tuples(inner, inner))
        | st.builds(Or, st.tuples(inner, inner, inner))
    ),
    max_leaves=8,
)


def written(tree: Filter) -> str:
    """A tree as text, with all parentheses and quotes."""
    if isinstance(tree, Comparison):
        value = tree.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{tree.field}{tree.operator}"{value}"'
    if isinstance(tree, Not):
        return f"NOT ({written(tree.inner)})"
    joint = " AND " if isinstance(tree, And) else " OR "
    return joint.join(f"({written(part)})" for part in tree.parts)


@given(trees, st.dictionaries(st.sampled_from(["job_id", "labels.k", "labels.x-y"]), names))
def test_what_is_written_is_read_and_means_the_same(tree, values):
    read = parse(written(tree), JOB_FIELDS)
    assert read is not None
    assert matches(read, values) == matches(tree, values)


@given(trees, st.dictionaries(st.sampled_from(["job_id", "labels.k", "labels.x-y"]), names))
def test_not_is_the_opposite(tree, values):
    assert matches(Not(tree), values) is not matches(tree, values)
