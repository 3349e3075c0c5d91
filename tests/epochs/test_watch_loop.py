"""What a watch does with what it finds, epoch by epoch."""

from __future__ import annotations

import json

import pytest
from epochs.watching import PACE, SOURCE, NamedModel, World, steps

from batchpredict import storage
from batchpredict.epochs.files import Changed
from batchpredict.epochs.interface import Ending
from batchpredict.errors import (
    BudgetSpent,
    ModelUnusable,
    NoInput,
    OutputRefused,
    RunnerFailed,
    StagingDamaged,
    WrongFlag,
)


def test_what_arrives_is_scored_once_each(world: World):
    names = [world.write(f"{number}.json") for number in range(3)]
    assert world.once() is Ending.DONE
    assert [url for url, _ in world.results[1]] == names
    assert world.once() is Ending.DONE
    later = world.write("0-late.json")
    assert world.once() is Ending.DONE
    assert list(world.results) == [1, 2]
    assert [url for url, _ in world.results[2]] == [later]
    assert [done.epoch.number for done in world.heard.done] == [1, 2]


def test_nothing_there_is_no_error_and_said_once(world: World):
    watch = world.watch()
    steps(watch, 2)
    world.clock.pass_by(31)
    steps(watch, 2)
    assert [text for text in world.heard.warnings if "no file yet matches" in text] == world.heard.warnings
    assert len(world.heard.warnings) == 1
    world.write("a")
    world.clock.pass_by(31)
    steps(watch, 2)
    assert list(world.results) == [1]


@pytest.mark.parametrize("name", ["a.tmp", "b._COPYING_", ".c", "_d"])
def test_what_is_named_as_being_written_is_not_taken(world: World, name):
    world.write(name)
    world.write("x")
    world.once()
    assert [url.rpartition("/")[2] for url, _ in world.scored()] == ["x"]


def test_a_file_is_taken_when_it_has_not_changed_for_a_while(world: World):
    world.write("a", b"1\n")
    watch = world.watch(settle=45.0)
    steps(watch, 1)
    world.clock.pass_by(31)
    world.write("a", b"1\n2\n")
    steps(watch, 1)
    world.clock.pass_by(31)
    steps(watch, 1)
    assert watch.state.last == 0
    world.clock.pass_by(31)
    steps(watch, 2)
    assert world.scored() == list(world.inputs().items())


def test_a_single_pass_leaves_what_is_still_written(world: World, monkeypatch):
    world.write("a")
    world.write("b")
    pass_by = world.clock.pass_by

    def write_on(seconds: float) -> None:
        pass_by(seconds)
        world.write("a")

    monkeypatch.setattr(world.clock, "pass_by", write_on)
    assert world.once(settle=10.0) is Ending.DONE
    assert [url.rpartition("/")[2] for url, _ in world.scored()] == ["b"]
    assert world.heard.warnings[-1] == "1 file may still be written, and is left"


def test_an_epoch_has_bounds_and_at_least_one_file(world: World):
    for number in range(5):
        world.write(f"{number}", b"x" * (10 if number != 3 else 100))
    world.once(max_files=2)
    assert [len(files) for files in world.results.values()] == [2, 2, 1]
    for number in range(5):
        world.write(f"big-{number}", b"x" * (10 if number != 3 else 100))
    world.once(max_bytes=25)
    assert [len(files) for files in world.results.values()][3:] == [2, 1, 1, 1]


def test_a_file_that_has_changed_is_scored_again_and_named(world: World):
    url = world.write("a")
    world.write("b")
    world.once()
    world.write("a", b"1\n2\n")
    assert world.once() is Ending.DONE
    assert world.results[2] == [(url, world.inputs()[url])]
    assert world.heard.warnings == [f"1 changed file, scored again: {url}"]


def test_or_it_is_left_and_named_once_for_each_change(world: World):
    url = world.write("a")
    watch = world.watch(changed=Changed.IGNORE)
    steps(watch, 3)
    for _ in range(2):
        world.write("a", b"1\n2\n")
        for _ in range(3):
            world.clock.pass_by(31)
            steps(watch, 2)
    assert list(world.results) == [1]
    assert world.heard.warnings == [f"1 changed file, left as they were scored: {url}"] * 2


def test_or_it_ends_the_watch(world: World):
    url = world.write("a")
    watch = world.watch(changed=Changed.FAIL)
    steps(watch, 3)
    world.write("a", b"1\n2\n")
    world.write("b")
    with pytest.raises(NoInput, match=f"{url}' has changed since it was scored"):
        watch.run(world.stop())
    assert list(world.results) == [1]
    assert storage.list_names(world.folder.lists) == [watch.state.taken[0].list.name]


def test_an_epoch_that_fails_is_said_once_and_tried_again(world: World):
    world.write("a")
    world.trouble[1] = BudgetSpent("5 records failed")
    watch = world.watch()
    steps(watch, 2)
    assert world.tried == [1]
    world.clock.pass_by(9)
    steps(watch, 2)
    assert world.tried == [1]
    world.clock.pass_by(2)
    steps(watch, 2)
    assert world.tried == [1, 1]
    del world.trouble[1]
    world.clock.pass_by(21)
    steps(watch, 2)
    assert list(world.results) == [1]
    assert world.heard.warnings == ["epoch 1 has failed and is tried again: 5 records failed"]


def test_it_does_not_hold_up_what_arrives_and_is_set_aside_in_the_end(world: World):
    bad = world.write("bad")
    world.trouble[1] = BudgetSpent("5 records failed")
    watch = world.watch()
    steps(watch, 2)
    world.write("good")
    for _ in range(8):
        world.clock.pass_by(31)
        steps(watch, 3)
    assert list(world.results) == [2]
    assert world.tried == [1, 1, 2, 1] or world.tried.count(1) == PACE.tries
    assert "epoch 1 is set aside after 3 tries (5 records failed)" in world.heard.warnings[-1]
    (line,) = storage.read_bytes(world.folder.set_aside).splitlines()
    assert json.loads(line) == {"file": bad, "epoch": 1, "tries": 3, "reason": "5 records failed"}

    # It is taken up only when somebody asks for it, under its own number and with what is said then.
    world.once()
    assert list(world.results) == [2]
    del world.trouble[1]
    assert world.once(retry=True, source={**SOURCE, "maxErrors": 9}) is Ending.DONE
    assert [url for url, _ in world.results[1]] == [bad]
    assert world.heard.done[-1].epoch.source["maxErrors"] == 9
    assert not storage.exists(world.folder.set_aside)


def test_a_single_pass_that_sets_an_epoch_aside_has_left_something(world: World):
    world.write("a")
    world.trouble[1] = BudgetSpent("no")
    assert world.once() is Ending.LEFT
    assert world.tried == [1] * PACE.tries
    assert world.once() is Ending.DONE


def test_files_that_are_gone_or_have_changed_do_not_spoil_an_epoch(world: World):
    kept = world.write("a")
    world.write("b")
    changed = world.write("c")
    watch = world.watch()
    steps(watch, 1)
    world.delete("b")
    world.write("c", b"3\n3\n")
    for _ in range(3):
        world.clock.pass_by(31)
        steps(watch, 4)
    assert [url for url, _ in world.results[1]] == [kept]
    assert [url for url, _ in world.results[2]] == [changed]
    assert any("goes on without 2 files" in text for text in world.heard.warnings)


def test_an_epoch_of_which_nothing_is_there_any_more_is_over(world: World):
    world.write("a")
    watch = world.watch()
    steps(watch, 1)
    world.delete("a")
    for _ in range(3):
        world.clock.pass_by(31)
        steps(watch, 3)
    assert world.results == {}
    assert watch.state.open == watch.state.aside == ()


def test_an_outage_holds_what_would_fail_alike_and_sets_nothing_aside(world: World):
    world.write("a")
    world.trouble[0] = RunnerFailed("no cluster")
    watch = world.watch()
    for number in range(60):
        world.write(f"later-{number}")
        world.clock.pass_by(31)
        steps(watch, 2)
    assert watch.state.last == 2
    assert watch.state.aside == ()
    del world.trouble[0]
    for _ in range(4):
        world.clock.pass_by(41)
        steps(watch, 3)
    assert world.scored() == sorted(world.inputs().items())
    assert len(world.results) == 3
    assert watch.state.outage == 0


def test_an_epoch_that_fails_alone_as_if_in_an_outage_is_set_aside(world: World):
    """Another one succeeds, so it is not the cluster."""
    world.write("a")
    world.trouble[1] = RunnerFailed("the job is too large")
    watch = world.watch()
    steps(watch, 2)
    for number in range(20):
        world.write(f"later-{number}")
        world.clock.pass_by(41)
        steps(watch, 4)
    assert [epoch.number for epoch in watch.state.aside] == [1]
    assert world.tried.count(1) == 2 * PACE.tries
    world.once()
    assert len(world.scored()) == 20


def test_a_single_pass_ends_in_an_outage_and_a_later_one_goes_on(world: World):
    world.write("a")
    world.trouble[0] = RunnerFailed("no cluster")
    assert world.once() is Ending.LEFT
    assert world.once() is Ending.LEFT
    assert world.tried == [1] * (2 * PACE.tries)
    del world.trouble[0]
    assert world.once() is Ending.DONE
    assert list(world.results) == [1]


def test_the_model_is_chosen_for_each_epoch_and_kept_for_its_tries(world: World):
    world.write("a")
    world.trouble[1] = BudgetSpent("no")
    watch = world.watch()
    steps(watch, 2)
    world.model.uri = "newer"
    del world.trouble[1]
    world.write("b")
    world.clock.pass_by(31)
    steps(watch, 4)
    assert [(done.epoch.number, done.epoch.model) for done in world.heard.done] == [(1, "model"), (2, "newer")]


def test_an_epoch_whose_model_is_gone_takes_the_next_one(world: World):
    world.write("a")
    world.trouble[1] = ModelUnusable("gone")
    watch = world.watch()
    steps(watch, 2)
    world.model.uri = "newer"
    world.clock.pass_by(11)
    del world.trouble[1]
    steps(watch, 1)
    assert world.heard.done[0].epoch.model == "newer"


def test_without_a_model_nothing_is_claimed(world: World):
    world.write("a")
    world.model.uri = ""
    watch = world.watch()
    with pytest.raises(ModelUnusable):
        watch.step()
    assert watch.state.last == 0
    assert storage.list_names(world.folder.lists) == []


def test_trouble_with_a_listing_ends_a_watch_that_has_never_had_one_and_else_passes(world: World):
    world.write("a")
    watch = world.watch()
    world.store.fail("find", PermissionError("not yours"), name="in")
    with pytest.raises(NoInput, match="cannot be listed"):
        watch.run(world.stop())

    steps(watch, 3)
    stop = world.stop()
    world.write("b")
    world.store.fail("find", *[PermissionError("not yours")] * 3, name="in")
    world.heard.finished = lambda done: stop.set()  # type: ignore[method-assign]
    assert watch.run(stop) is Ending.STOPPED
    assert list(world.results) == [1, 2]
    assert len([text for text in world.heard.warnings if "cannot be listed" in text]) == 1


def test_a_stop_lets_what_is_under_way_come_to_its_end(world: World):
    world.write("a")
    stop = world.stop()

    def execute(epoch, observer):
        stop.set()
        return world.execute(epoch, observer)

    assert world.watch(execute=execute).run(stop) is Ending.STOPPED
    assert list(world.results) == [1]
    assert len(world.heard.done) == 1


def test_an_epoch_that_was_said_to_begin_is_under_way(world: World):
    world.write("a")
    stop = world.stop()

    def message(text):
        if text.startswith("epoch 1"):
            stop.set()

    world.heard.message = message  # type: ignore[method-assign]
    watch = world.watch()
    assert watch.run(stop) is Ending.STOPPED
    assert list(world.results) == [1]
    assert not watch.state.open


def test_another_format_is_refused_and_other_differences_are_said(world: World):
    world.write("a")
    world.once()
    with pytest.raises(WrongFlag, match="--data-format: TF_RECORD, but the epochs in this output folder have TEXT"):
        world.once(source={**SOURCE, "dataFormat": "TF_RECORD"})
    with pytest.raises(WrongFlag, match="--output-data-format: CSV"):
        world.once(source={**SOURCE, "outputDataFormat": "CSV"})
    world.once(source={**SOURCE, "dataFormat": "JSON", "batchSize": "3"})
    assert "batchSize differs from the last epoch" in world.heard.messages[-1]


def test_another_format_is_refused_also_where_the_first_epoch_is_begun_while_it_waits(world: World):
    waiting = world.watch(source={**SOURCE, "dataFormat": "TF_RECORD"})
    waiting.step()
    world.write("a")
    world.once()
    world.write("b")
    world.clock.pass_by(60)
    with pytest.raises(WrongFlag, match="--data-format: TF_RECORD, but the epochs in this output folder have TEXT"):
        steps(waiting, 20)
    assert list(world.results) == [1]
    assert waiting.state.last == 1


def test_what_is_tried_again_is_said_in_one_sentence(world: World):
    watch = world.watch()
    steps(watch, 1)
    world.model.uri = ""
    world.write("a")
    stop = world.stop()
    said: list[str] = []

    def warning(text: str) -> None:
        said.append(text)
        stop.set()

    world.heard.warning = warning  # type: ignore[method-assign]
    watch.run(stop)
    assert said[-1] == "uri: there is no such folder; tried again"


def test_an_output_that_is_a_file_is_refused(world: World):
    world.store.put(world.folder.output_path, b"")
    with pytest.raises(OutputRefused, match="is a file"):
        world.once()


def test_results_of_which_the_ledger_knows_nothing_are_refused(world: World):
    world.write("a")
    world.store.put(world.folder.results(1) + "/prediction.results-00000-of-00001", b"")
    with pytest.raises(OutputRefused, match="holds results, but this watch knows of no such epoch"):
        world.once()
    assert storage.list_names(world.folder.lists) == []


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, "is gone"),
        (lambda data: data[:10], "cannot be read"),
        (lambda data: data.splitlines(keepends=True)[0], "has 1 lines instead of 2"),
    ],
)
def test_a_ledger_that_is_damaged_ends_the_watch_and_nothing_is_scored_twice(world: World, left, said):
    world.write("a")
    world.write("b")
    world.once()
    (name,) = storage.list_names(world.folder.lists)
    url = world.folder.list(name)
    data = storage.read_bytes(url)
    world.store.delete(url)
    if left is not None:
        world.store.put(url, left(data))
    with pytest.raises(StagingDamaged, match=rf"{name} of the watch's ledger {said}.* Bring it back as it was"):
        world.once()
    assert list(world.results) == [1]


def test_two_watchers_share_the_work(world: World):
    """The second waits for the epoch that the first one does, and takes what arrives meanwhile."""
    world.write("a")
    second = world.watch()

    def execute(epoch, observer):
        world.write("b")
        steps(second, 2)
        assert list(world.results) == [2]
        return world.execute(epoch, observer)

    first = world.watch(execute=execute)
    # Both are of this process: what is alive cannot be told by its number.
    steps(first, 2)
    assert sorted(world.results) == [1, 2]
    assert world.tried == [2, 1]


def test_an_epoch_of_a_watcher_that_has_died_is_taken_over(world: World):
    class Died(BaseException):
        pass

    def die(epoch, observer):
        raise Died

    world.write("a")
    first = world.watch(execute=die)
    steps(first, 1)
    sign = world.folder.watchers + "/00000001@elsewhere@1@0123abcd.json"
    world.store.put(sign, b"")
    second = world.watch()
    steps(second, 2)
    assert world.results == {}
    world.clock.pass_by(21)
    steps(second, 1)
    assert list(world.results) == [1]
    assert not storage.exists(sign)
    assert NamedModel().choose() == "model"
