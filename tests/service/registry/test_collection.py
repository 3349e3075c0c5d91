"""Which copies are deleted, and when: none that a version, an operation or a job needs."""

from __future__ import annotations

import os

import pytest
from service.registry_support import PROJECT, World

from batchpredict.service.queue.lifecycle import Cancel
from batchpredict.service.registry.collection import Collection
from batchpredict.service.registry.copies import Copies, Owner
from batchpredict.service.store import NewJob


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(here: World) -> Copies:
    return Copies(here.data)


@pytest.fixture
def collection(here: World, copies: Copies, clock: Clock) -> Collection:
    return Collection(here.store, copies, grace=60, clock=clock)


def test_the_copy_of_a_version_stays(here, collection, clock):
    here.ready_version()
    collection.collect()
    clock.now += 10**6
    assert collection.collect() == 0
    assert os.path.exists(os.path.join(here.uri_of(), "saved_model.pb"))


def test_that_of_a_deleted_one_goes_after_a_while_and_not_before(here, collection, clock):
    here.ready_version()
    here.registry.delete_version(PROJECT, "census", "v1")
    assert collection.collect() == 0
    clock.now += 59
    assert collection.collect() == 0
    assert len(here.copies()) == 1
    clock.now += 1
    assert collection.collect() == 1
    assert here.copies() == here.index() == []


def test_it_stays_while_a_job_that_has_not_ended_is_pinned_to_it(here, collection, clock):
    here.ready_version()
    uri = here.uri_of()
    here.store.create_job(NewJob(PROJECT, "job", {"jobId": "job"}, pinned={"uri": uri}))
    here.registry.delete_version(PROJECT, "census", "v1")
    for _ in range(3):
        clock.now += 100
        assert collection.collect() == 0
    here.store.cancel(PROJECT, "job", Cancel("enough"))
    collection.collect()
    clock.now += 100
    assert collection.collect() == 1


def test_a_job_that_is_pinned_within_the_while_keeps_it(here, collection, clock):
    here.ready_version()
    uri = here.uri_of()
    here.registry.delete_version(PROJECT, "census", "v1")
    collection.collect()
    here.store.create_job(NewJob(PROJECT, "job", {"jobId": "job"}, pinned={"uri": uri}))
    clock.now += 100
    assert collection.collect() == 0
    # And the while begins anew when that has ended.
    here.store.cancel(PROJECT, "job", Cancel("enough"))
    assert collection.collect() == 0
    assert here.copies() == [uri]


def test_the_half_of_an_operation_that_is_under_way_stays(idle: World):
    idle.create_model()
    operation = idle.create_version(idle.model_folder())["name"].rpartition("/")[2]
    copies, clock = Copies(idle.data), Clock()
    copies.begin(Owner(PROJECT, "census", "v1", operation))
    collection = Collection(idle.store, copies, grace=0, clock=clock)
    assert collection.collect() == 0
    idle.store.finish_operation(PROJECT, operation, error={"code": 13, "message": "it was interrupted"})
    assert collection.collect() == 1


def test_what_an_operation_left_of_which_nothing_is_known_goes(here, copies, collection, clock):
    copies.begin(Owner("gone", "gone", "gone", "gone"))
    collection.collect()
    clock.now += 60
    assert collection.collect() == 1
    assert here.index() == []


def test_a_folder_that_cannot_be_deleted_keeps_none_of_the_others_and_is_tried_again(
    here, copies, collection, clock, monkeypatch
):
    folders = [copies.begin(Owner("gone", "gone", "gone", "gone")) for _ in range(5)]
    collection.collect()
    clock.now += 60
    delete = copies.delete

    def refuse_one(folder: str) -> None:
        if folder == folders[2]:
            raise OSError("busy")
        delete(folder)

    with monkeypatch.context() as patch:
        patch.setattr(copies, "delete", refuse_one)
        assert collection.collect() == 4
    assert collection.collect() == 1
