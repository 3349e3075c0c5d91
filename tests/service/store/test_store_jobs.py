"""Jobs in a store: created once, read as they came, listed in pages, labelled, and what their history says."""

from __future__ import annotations

import json

import pytest
from service.store_support import LEASE, SECOND, START, ids, new_job, new_model, running

from batchpredict.errors import IllegalTransition
from batchpredict.job import State
from batchpredict.service.queue import (
    Advance,
    Begin,
    Cancel,
    Fail,
    Finished,
    LeaseLost,
    Release,
    Stop,
    Succeed,
)
from batchpredict.service.store import Exists, Missing, QueueFull, Stale, job_resource


def test_a_job_comes_back_as_it_was_created(store):
    new = new_job(
        "j",
        labels={"team": "blue", "a-b": ""},
        creator="user:ann@x.org",
        workers=3,
        pinned={"uri": "/models/1", "inputPaths": ["/in/*"]},
        webhook="https://x.org/hook",
    )
    created = store.create_job(new)
    assert (created.new, created.created, created.standing.state) == (new, START, State.QUEUED)
    read = store.job("p", "j")
    assert (read.new, read.created, read.etag, read.standing) == (new, START, created.etag, created.standing)
    assert list(read.new.labels) == ["team", "a-b"]


@pytest.mark.parametrize(
    "document",
    [
        {"z": 1, "a": {"c": [], "b": None}},
        {"int64": 9223372036854775807, "larger": 2**70, "double": 0.1, "negative": -0.0},
        {"text": 'quotes " \\ and \u2028, a NUL \0, half a pair \ud800, 😀'},
        {"": ""},
    ],
    ids=["order", "numbers", "text", "empty"],
)
def test_a_document_comes_back_to_the_letter(store, document):
    store.create_job(new_job("j", document=document))
    assert json.dumps(store.job("p", "j").new.document) == json.dumps(document)


def test_text_that_a_database_does_not_take_is_replaced_and_not_refused(store):
    running(store, "j")
    failed = store.tell("p", "j", Fail(1, "a NUL \0 and half a pair \ud800"))
    assert failed.standing.state is State.FAILED
    assert store.job("p", "j").standing.message == "a NUL \ufffd and half a pair \ufffd"


def test_a_job_id_is_taken_for_ever_in_its_project(store):
    running(store, "j")
    store.tell("p", "j", Fail(1, "No input."))
    with pytest.raises(Exists, match='A job "j" exists already in project "p"'):
        store.create_job(new_job("j"))
    store.create_job(new_job("j", project="other"))
    store.create_job(new_job("J"))


def test_a_full_queue_takes_no_more_until_one_has_begun(store):
    for number in range(3):
        store.create_job(new_job(f"j{number}"), queue_limit=3)
    with pytest.raises(QueueFull, match='project "p" has 3 queued jobs'):
        store.create_job(new_job("j3"), queue_limit=3)
    store.create_job(new_job("j3", project="other"), queue_limit=3)
    store.claim("p", "j0", "w", LEASE, 1)
    assert store.create_job(new_job("j3"), queue_limit=3).job_id == "j3"


def test_a_name_that_is_taken_is_so_also_where_the_queue_is_full(store):
    store.create_job(new_job("j"), queue_limit=1)
    with pytest.raises(Exists):
        store.create_job(new_job("j"), queue_limit=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.job("p", "j"),
        lambda store: store.patch_job("p", "j", {}, None),
        lambda store: store.tell("p", "j", Begin(1)),
        lambda store: store.cancel("p", "j", Cancel("")),
        lambda store: store.history("p", "j"),
        lambda store: store.log("p", "j"),
        lambda store: store.append_log("p", "j", 1, [(START, "INFO", "service", "x")]),
    ],
    ids=["job", "patch_job", "tell", "cancel", "history", "log", "append_log"],
)
def test_what_is_not_there_is_missing(store, call):
    store.create_job(new_job("j", project="other"))
    with pytest.raises(Missing, match='no job "j" in project "p"'):
        call(store)


def test_a_queued_job_knows_its_place_in_the_queue_of_its_project(store):
    for job_id in ("a", "b", "c"):
        store.create_job(new_job(job_id))
    store.create_job(new_job("x", project="other"))
    assert [store.job("p", job_id).position for job_id in "abc"] == [1, 2, 3]
    store.claim("p", "a", "w", LEASE, 1)
    assert [store.job("p", job_id).position for job_id in "abc"] == [None, 1, 2]
    store.tell("p", "a", Release(1))
    assert [store.job("p", job_id).position for job_id in "abc"] == [1, 2, 3]


def test_pages_are_newest_first_and_end_with_the_last_full_one(store):
    for number in range(6):
        store.create_job(new_job(f"j{number}"))
    store.create_job(new_job("x", project="other"))
    page, before = store.jobs("p", size=3)
    assert ids(page) == ["j5", "j4", "j3"]
    page, before = store.jobs("p", size=3, before=before)
    assert (ids(page), before) == (["j2", "j1", "j0"], None)


def test_jobs_that_are_created_meanwhile_are_on_no_later_page(store):
    for number in range(4):
        store.create_job(new_job(f"j{number}"))
    _, before = store.jobs("p", size=2)
    store.create_job(new_job("new"))
    page, _ = store.jobs("p", size=2, before=before)
    assert ids(page) == ["j1", "j0"]


def test_a_project_without_jobs_has_an_empty_page(store):
    assert store.jobs("p") == ([], None)


def test_a_patch_replaces_labels_and_changes_the_etag(store):
    created = store.create_job(new_job("j", labels={"a": "1", "b": "2"}))
    patched = store.patch_job("p", "j", {"c": "3"}, created.etag)
    assert patched.new.labels == {"c": "3"}
    assert patched.etag != created.etag
    assert store.job("p", "j").etag == patched.etag
    assert store.job("p", "j").new.labels == {"c": "3"}


def test_a_patch_with_an_old_etag_changes_nothing(store):
    created = store.create_job(new_job("j", labels={"a": "1"}))
    patched = store.patch_job("p", "j", {"a": "2"}, None)
    with pytest.raises(Stale):
        store.patch_job("p", "j", {"a": "3"}, created.etag)
    assert store.job("p", "j") == store.job("p", "j")
    assert store.job("p", "j").new.labels == {"a": "2"}
    assert store.job("p", "j").etag == patched.etag


def test_what_a_job_has_come_to_is_kept_with_an_event_until_more_is_said(store):
    running(store, "j")
    store.tell("p", "j", Advance(1), {"predictionCount": "5"}, {"done": 1, "total": 2})
    store.tell("p", "j", Advance(1))
    assert store.job("p", "j").output == {"predictionCount": "5"}
    assert store.job("p", "j").progress == {"done": 1, "total": 2}
    told = store.tell("p", "j", Succeed(1), {"predictionCount": "9"})
    assert told == store.job("p", "j")
    assert (told.output, told.progress) == ({"predictionCount": "9"}, {"done": 1, "total": 2})


@pytest.mark.parametrize(
    ("event", "refusal"), [(Begin(2), LeaseLost), (Stop(1), IllegalTransition)], ids=["lease", "transition"]
)
def test_an_event_that_is_refused_changes_nothing(store, event, refusal):
    running(store, "j")
    before = store.job("p", "j"), store.history("p", "j")
    with pytest.raises(refusal):
        store.tell("p", "j", event, {"predictionCount": "9"})
    assert (store.job("p", "j"), store.history("p", "j")) == before


def test_the_history_has_every_state_with_its_time_and_generation(store, clock):
    store.create_job(new_job("j"))
    for generation in (1, 2):
        clock.forward(1)
        store.claim("p", "j", "w", LEASE, 1)
        store.tell("p", "j", Begin(generation))
        if generation == 1:
            store.tell("p", "j", Release(1))
    clock.forward(1)
    store.cancel("p", "j", Cancel("Ann cancelled it."))
    store.cancel("p", "j", Cancel("Bob cancelled it."))
    store.tell("p", "j", Stop(2))
    history = store.history("p", "j")
    assert [(step.before, step.after, step.generation) for step in history] == [
        (None, State.QUEUED, 0),
        (State.QUEUED, State.PREPARING, 1),
        (State.PREPARING, State.RUNNING, 1),
        (State.RUNNING, State.QUEUED, 1),
        (State.QUEUED, State.PREPARING, 2),
        (State.PREPARING, State.RUNNING, 2),
        (State.RUNNING, State.CANCELLING, 2),
        (State.CANCELLING, State.CANCELLED, 2),
    ]
    assert [(step.at - START) / SECOND for step in history] == [0, 1, 1, 1, 2, 2, 3, 3]
    assert history[-1].message == "Ann cancelled it."


def test_a_job_that_has_ended_is_not_cancelled(store):
    running(store, "j")
    store.tell("p", "j", Succeed(1))
    with pytest.raises(Finished):
        store.cancel("p", "j", Cancel("Ann cancelled it."))


def test_times_of_a_job_do_not_run_backwards_when_the_clock_does(store, clock):
    running(store, "j")
    clock.forward(-3600)
    ended = store.tell("p", "j", Succeed(1)).standing
    assert (ended.start_time, ended.end_time, ended.changed) == (START, START, START)


def test_counts_are_of_all_projects(store):
    running(store, "a")
    store.create_job(new_job("b"))
    store.create_job(new_job("c", project="other"))
    assert store.counts() == {State.RUNNING: 1, State.QUEUED: 2}


def test_projects_are_those_with_jobs_or_models(store):
    assert store.projects() == []
    for project in ("b", "a", "b"):
        store.create_job(new_job(f"j{len(store.jobs(project)[0])}", project=project))
    store.create_model(new_model("m", project="c"))
    assert store.projects() == ["a", "b", "c"]


def test_the_resource_is_what_was_sent_and_what_the_service_knows(store, clock):
    job = store.create_job(new_job("j", labels={"team": "blue"}))
    sent = {"maxWorkerCount": 10, "inputPaths": ["/in/*"]}
    assert job_resource(store.job("p", "j")) == {
        "jobId": "j",
        "predictionInput": sent,
        "createTime": "2026-01-01T12:00:00Z",
        "state": "QUEUED",
        "etag": job.etag,
        "labels": {"team": "blue"},
        "jobPosition": "1",
    }
    clock.forward(1.5)
    store.claim("p", "j", "w", LEASE, 1)
    store.tell("p", "j", Begin(1))
    assert job_resource(store.tell("p", "j", Succeed(1))) == {
        "jobId": "j",
        "predictionInput": sent,
        "createTime": "2026-01-01T12:00:00Z",
        "startTime": "2026-01-01T12:00:01.500Z",
        "endTime": "2026-01-01T12:00:01.500Z",
        "state": "SUCCEEDED",
        "etag": job.etag,
        "labels": {"team": "blue"},
        "predictionOutput": {},
    }


def test_the_resource_of_a_failed_job_always_has_a_message(store):
    running(store, "j", document={"trainingInput": {}})
    resource = job_resource(store.tell("p", "j", Fail(1, ""), {"consumedMLUnits": 1.5}))
    assert resource["errorMessage"] == "The job ended without a message."
    assert resource["trainingOutput"] == {"consumedMLUnits": 1.5}
