"""Filters of jobs mean the same to the database as to `filters.matches`."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service.store_support import LEASE, ids, new_job

from batchpredict.job import State
from batchpredict.service.filters import And, Comparison, Not, Or, matches, parse
from batchpredict.service.queue import Begin, Cancel, Fail, Succeed
from batchpredict.service.store import where as translation
from batchpredict.service.store.fields import job_fields

NAMES = ["a", "ab", "abc", "B", "b", "b_", "é", "éa", "\U0001f600", "\ud7ff", "\uffff", "%", "a%", "a_c"]
TIMES = ["2026-01-01T12:00:00Z", "2026-01-01T12:00:03.500Z", "2026-01-01T12:00:20Z", "1999-01-01T00:00:00Z"]
EQUALS = (":", "=", "!=")

texts = st.sampled_from([*NAMES, "", "zz"]).flatmap(
    lambda name: st.sampled_from([name, name + "*", name[:1] + "*"])
)
comparisons = (
    st.builds(
        Comparison,
        st.sampled_from(["job_id", "error_message", "labels.team", "labels.é", "labels.none"]),
        st.sampled_from(EQUALS),
        texts,
    )
    | st.builds(
        Comparison, st.just("state"), st.sampled_from(EQUALS), st.sampled_from([*State, "C*", "*"]).map(str)
    )
    | st.builds(
        Comparison,
        st.sampled_from(["create_time", "start_time", "end_time"]),
        st.sampled_from([*EQUALS, "<", "<=", ">", ">="]),
        st.sampled_from(TIMES),
    )
    | st.builds(Comparison, st.sampled_from(["start_time", "end_time"]), st.just(":"), st.just("*"))
)
trees = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(Not, inner) | st.builds(And, st.tuples(inner, inner)) | st.builds(Or, st.tuples(inner, inner))
    ),
    max_leaves=6,
)


@pytest.fixture
def filled(store, clock):
    """Jobs with all kinds of names, labels, states, times."""
    roll = random.Random(1)
    for number in range(60):
        clock.forward(0.5)
        labels = {key: roll.choice([*NAMES, ""]) for key in ("team", "é") if roll.random() < 0.7}
        name = roll.choice(NAMES) + (f"{number}" if number >= len(NAMES) else "")
        name = NAMES[number] if number < len(NAMES) else name
        store.create_job(new_job(name, labels=labels))
        store.create_job(new_job(name, project="other", labels=labels))
        if roll.random() < 0.8:
            store.claim("p", name, "w", LEASE, 1)
        if roll.random() < 0.6 and store.job("p", name).standing.lease:
            store.tell("p", name, Begin(1))
            event = roll.choice([Succeed(1), Fail(1, roll.choice(NAMES)), None])
            if event:
                store.tell("p", name, event)
        elif roll.random() < 0.5:
            store.cancel("p", name, Cancel(roll.choice([*NAMES, ""])))
    return store


@pytest.mark.parametrize("few", [0, 20, 2000], ids=["none is few", "some are few", "all are few"])
def test_a_filter_means_the_same_to_the_database_and_to_python(filled, few, monkeypatch):
    monkeypatch.setattr(translation, "FEW", few)
    everything = filled.jobs("p", size=1000)[0]
    assert len(everything) == 60

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(trees)
    def check(tree):
        expected = [job for job in everything if matches(tree, job_fields(job))]
        assert ids(filled.jobs("p", where=tree, size=1000)[0]) == ids(expected)
        page, before = filled.jobs("p", where=tree, size=3)
        rest = filled.jobs("p", where=tree, size=1000, before=before)[0] if before else []
        assert ids(page) + ids(rest) == ids(expected)
        assert (before is None) == (len(expected) <= 3)

    check()


def test_labels_that_were_patched_are_found_and_those_before_are_not(store):
    store.create_job(new_job("j", labels={"team": "blue"}))
    store.patch_job("p", "j", {"team": "red"}, None)
    assert store.jobs("p", where=parse("labels.team=blue")) == ([], None)
    assert ids(store.jobs("p", where=parse("labels.team=red"))[0]) == ["j"]


def test_case_matters(store):
    for name in ("job", "Job", "JOB"):
        store.create_job(new_job(name))
    assert ids(store.jobs("p", where=parse("jobId:j*"))[0]) == ["job"]
    assert ids(store.jobs("p", where=parse("jobId=JOB"))[0]) == ["JOB"]


@pytest.mark.parametrize("text", ["%", "_ob", "j%", "j_b"])
def test_characters_that_mean_something_to_a_database_are_themselves(store, text):
    store.create_job(new_job("job"))
    assert store.jobs("p", where=parse(f"jobId={text} OR jobId:{text}*")) == ([], None)


def test_the_largest_filter_that_parses_is_one_that_the_database_takes(store):
    store.create_job(new_job("j", labels={"k": "v"}))
    deep = "NOT " * 50 + "labels.k=v"
    wide = " ".join(["(labels.k=v OR state=FAILED)"] * 50)
    for text in (deep, wide):
        assert ids(store.jobs("p", where=parse(text))[0]) == ["j"]
