"""Models, versions and operations in a store."""

from __future__ import annotations

import pytest
from service.store_support import LEASE, START, new_job, new_model, new_version, running

from batchpredict.service import filters
from batchpredict.service.queue import Succeed
from batchpredict.service.store import Exists, InUse, Missing, Operation, Stale

DOCUMENT = {"name": "projects/p/operations/o", "metadata": {"operationType": "CREATE_VERSION"}}


def operation(name: str = "o", project: str = "p") -> Operation:
    return Operation(project, name, DOCUMENT, False)


def test_a_model_comes_back_as_it_was_created(store, clock):
    clock.forward(5)
    created = store.create_model(new_model("m", document={"name": "m", "regions": ["r"]}, labels={"team": "blue"}))
    assert store.model("p", "m") == created
    assert (created.created, created.default, created.document) == (clock(), None, {"name": "m", "regions": ["r"]})
    assert created.etag


def test_names_of_models_are_taken_in_their_project_and_of_versions_in_their_model(store):
    for project in ("p", "other"):
        store.create_model(new_model("m", project=project))
    store.create_model(new_model("n"))
    store.create_version(new_version("m", "v"))
    store.create_version(new_version("n", "v"))
    with pytest.raises(Exists, match='A model "m" exists already in project "p"'):
        store.create_model(new_model("m"))
    with pytest.raises(Exists, match='A version "v" exists already in model "m"'):
        store.create_version(new_version("m", "v"))


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.model("p", "x"),
        lambda store: store.patch_model("p", "x", {}, None),
        lambda store: store.patch_model("p", "m", {"default": "x"}, None),
        lambda store: store.delete_model("p", "x"),
        lambda store: store.create_version(new_version("x", "v")),
        lambda store: store.versions("p", "x"),
        lambda store: store.version("p", "m", "x"),
        lambda store: store.patch_version("p", "m", "x", {}, None),
        lambda store: store.delete_version("p", "m", "x"),
        lambda store: store.operation("p", "x"),
        lambda store: store.patch_operation("p", "x", {}),
        lambda store: store.finish_operation("p", "x"),
    ],
)
def test_what_is_not_there_is_missing(store, call):
    store.create_model(new_model("m"))
    with pytest.raises(Missing, match=r"There is no (model|version|operation) "):
        call(store)


def test_lists_are_in_the_order_of_creation_and_in_pages(store):
    for name in ("c", "a", "b"):
        store.create_model(new_model(name))
        store.create_version(new_version("c", name))
        store.create_operation(operation(name))
    store.create_model(new_model("x", project="other"))
    for pages, name_of in (
        (lambda **page: store.models("p", **page), lambda one: one.model),
        (lambda **page: store.versions("p", "c", **page), lambda one: one.version),
        (lambda **page: store.operations("p", **page), lambda one: one.operation),
    ):
        page, after = pages(size=2)
        assert [name_of(one) for one in page] == ["c", "a"]
        page, after = pages(size=2, after=after)
        assert ([name_of(one) for one in page], after) == (["b"], None)
        assert pages(size=3)[1] is None


def test_filters_of_models_and_versions_go_by_their_own_fields(store):
    store.create_model(new_model("a", document={"description": "of the census"}, labels={"team": "blue"}))
    store.create_model(new_model("b"))
    store.create_version(new_version("a", "v1", document={"framework": "TENSORFLOW"}, state="READY"))
    store.create_version(new_version("a", "v2", state="FAILED", message="No SavedModel."))

    def models(text: str) -> list[str]:
        return [one.model for one in store.models("p", where=filters.parse(text, filters.MODEL_FIELDS))[0]]

    def versions(text: str) -> list[str]:
        where = filters.parse(text, filters.VERSION_FIELDS)
        return [one.version for one in store.versions("p", "a", where=where)[0]]

    assert models("description:of*") == ["a"]
    assert models("-description:*") == ["b"]
    assert models("labels.team=blue OR name=b") == ["a", "b"]
    assert versions("isDefault=true") == ["v1"]
    assert versions("state=FAILED errorMessage:No*") == ["v2"]
    assert versions("framework:TENSOR*") == ["v1"]


def test_a_filter_finds_what_is_far_behind_others(store, monkeypatch):
    monkeypatch.setattr("batchpredict.service.store.models._CHUNK", 2)
    for number in range(7):
        store.create_model(new_model(f"m{number}", labels={"odd": str(number % 2)}))
    where = filters.parse("labels.odd=1", filters.MODEL_FIELDS)
    page, after = store.models("p", where=where, size=2)
    assert [one.model for one in page] == ["m1", "m3"]
    page, after = store.models("p", where=where, size=2, after=after)
    assert ([one.model for one in page], after) == (["m5"], None)


def test_a_patch_changes_fields_of_the_document_takes_away_and_sets_labels(store):
    created = store.create_model(new_model("m", document={"name": "m", "description": "old", "regions": []}))
    patched = store.patch_model(
        "p", "m", {"description": None, "onlinePredictionLogging": True, "labels": {"a": "b"}}, created.etag
    )
    assert patched == store.model("p", "m")
    assert patched.document == {"name": "m", "regions": [], "onlinePredictionLogging": True}
    assert patched.labels == {"a": "b"}
    with pytest.raises(Stale):
        store.patch_model("p", "m", {"description": "new"}, created.etag)
    assert store.model("p", "m") == patched


def test_a_patch_of_a_version_changes_what_the_service_found_out(store):
    store.create_model(new_model("m"))
    created = store.create_version(new_version("m", "v"))
    ready = {"state": "READY", "uri": "/copies/1", "details": {"signatures": ["x"]}, "message": ""}
    patched = store.patch_version("p", "m", "v", ready, created.etag)
    assert patched == store.version("p", "m", "v")
    assert (patched.state, patched.uri, patched.details) == ("READY", "/copies/1", {"signatures": ["x"]})
    assert patched.etag != created.etag
    with pytest.raises(Stale):
        store.patch_version("p", "m", "v", {"description": "new"}, created.etag)


def test_the_time_of_last_use_alone_leaves_the_etag(store):
    store.create_model(new_model("m"))
    created = store.create_version(new_version("m", "v"))
    used = store.patch_version("p", "m", "v", {"last_used": START}, None)
    assert (used.last_used, used.etag) == (START, created.etag)


def test_the_first_version_is_the_default_until_another_is_made_it(store):
    store.create_model(new_model("m"))
    store.create_version(new_version("m", "v1"))
    store.create_version(new_version("m", "v2"))
    assert store.model("p", "m").default == "v1"
    with pytest.raises(InUse, match='version "v1" is the default'):
        store.delete_version("p", "m", "v1")
    store.patch_model("p", "m", {"default": "v2"}, None)
    store.delete_version("p", "m", "v1")
    store.delete_version("p", "m", "v2")
    assert store.model("p", "m").default is None
    store.create_version(new_version("m", "v3"))
    assert store.model("p", "m").default == "v3"


def test_a_model_with_versions_is_not_deleted(store):
    store.create_model(new_model("m"))
    store.create_version(new_version("m", "v"))
    with pytest.raises(InUse, match='model "m" has versions'):
        store.delete_model("p", "m")
    store.delete_version("p", "m", "v")
    store.delete_model("p", "m")
    assert store.models("p") == ([], None)


def test_a_number_of_what_was_deleted_is_not_given_again(store):
    # Or a page would go on before where it was.
    store.create_model(new_model("a"))
    store.create_model(new_model("b"))
    _, after = store.models("p", size=1)
    store.delete_model("p", "b")
    store.create_model(new_model("c"))
    assert [one.model for one in store.models("p", after=after)[0]] == ["c"]


def test_files_are_pinned_while_a_job_that_has_not_ended_is_to_be_scored_with_them(store):
    running(store, "a", pinned={"uri": "/copies/1"})
    store.create_job(new_job("b", pinned={"uri": "/copies/2"}))
    running(store, "c")
    assert [store.pinned(uri) for uri in ("/copies/1", "/copies/2", "/copies/3", "")] == [True, True, False, False]
    store.tell("p", "a", Succeed(1))
    assert not store.pinned("/copies/1")


def test_an_operation_is_created_with_its_version_or_not_at_all(store):
    store.create_model(new_model("m"))
    store.create_version(new_version("m", "v"), operation("o1"))
    assert store.operation("p", "o1") == operation("o1")
    with pytest.raises(Exists):
        store.create_version(new_version("m", "v"), operation("o2"))
    with pytest.raises(Missing):
        store.operation("p", "o2")
    with pytest.raises(Exists, match='An operation "o1"'):
        store.create_version(new_version("m", "v2"), operation("o1"))
    with pytest.raises(Missing):
        store.version("p", "m", "v2")


def test_an_operation_is_done_by_one_worker_until_it_is_not_heard_of(store, clock):
    store.create_operation(operation("o1"))
    store.create_operation(operation("o2", "other"))
    store.create_operation(operation("o3"))
    assert [one.operation for one in store.due_operations("w1", LEASE, limit=2)] == ["o1", "o2"]
    assert [one.operation for one in store.due_operations("w2", LEASE)] == ["o3"]
    assert store.due_operations("w2", LEASE) == []
    clock.forward(10)
    assert store.hold_operation("p", "o1", "w1", LEASE)
    assert not store.hold_operation("p", "o1", "w2", LEASE)
    clock.forward(5)
    assert [(one.operation, one.worker) for one in store.due_operations("w2", LEASE)] == [
        ("o2", "w2"),
        ("o3", "w2"),
    ]
    assert not store.hold_operation("other", "o2", "w1", LEASE)


def test_an_operation_ends_once(store, clock):
    store.create_operation(operation())
    patched = store.patch_operation("p", "o", {"isCancellationRequested": True})
    assert patched.document["metadata"] == {"operationType": "CREATE_VERSION", "isCancellationRequested": True}
    clock.forward(1)
    done = store.finish_operation("p", "o", response={"name": "v"})
    assert done == store.operation("p", "o")
    assert done.done
    assert done.document == {
        "name": "projects/p/operations/o",
        "metadata": {**patched.document["metadata"], "endTime": "2026-01-01T12:00:01Z"},
        "done": True,
        "response": {"name": "v"},
    }
    clock.forward(1)
    assert store.finish_operation("p", "o", error={"code": 13}) == done
    assert store.patch_operation("p", "o", {"x": 1}) == done
    assert not store.hold_operation("p", "o", "", LEASE)
    clock.forward(3600)
    assert store.due_operations("w", LEASE) == []


def test_an_operation_that_fails_says_why(store):
    store.create_operation(operation())
    document = store.finish_operation("p", "o", error={"code": 9, "message": "No SavedModel."}).document
    assert (document["error"], "response" in document) == ({"code": 9, "message": "No SavedModel."}, False)
