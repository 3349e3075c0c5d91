"""The log of a watch: one order of events for all, whoever sleeps through what."""

from __future__ import annotations

import pytest
from epochs.watching import World

from batchpredict import storage
from batchpredict.epochs.log import Log
from batchpredict.epochs.runs import Ledger, compact
from batchpredict.epochs.state import Begun, Compacted, Failed, FileList, State, Succeeded
from batchpredict.errors import OutputRefused, StagingDamaged


def log(world: World) -> Log:
    found = Log(world.folder, "somebody")
    found.refresh()
    return found


def begun(number: int) -> Begun:
    return Begun(number, FileList(f"list-{number}", 1, 1), "m", {"dataFormat": "TEXT"})


def test_events_are_read_in_order_by_whoever_comes(world: World):
    first, second = log(world), log(world)
    assert first.append(begun(1))
    assert first.append(Succeeded(1, {"predictionCount": "1"}))
    assert second.refresh() == [begun(1), Succeeded(1, {"predictionCount": "1"})]
    assert first.state == second.state == log(world).state
    assert first.number == 2


def test_of_two_that_write_at_one_place_one_loses_and_goes_on(world: World):
    first, second = log(world), log(world)
    assert first.append(begun(1))
    assert not second.append(begun(1))
    assert second.refresh() == [begun(1)]
    assert second.append(Failed(1, "BudgetSpent", "no"))
    assert first.refresh() == [Failed(1, "BudgetSpent", "no")]


def test_whoever_has_slept_through_a_lot_begins_anew(world: World):
    awake, asleep = log(world), log(world)
    assert awake.append(begun(1))
    asleep.refresh()
    compacted(awake, 3)
    assert asleep.refresh() == []
    assert asleep.state == awake.state
    assert asleep.number == awake.number


def test_and_what_they_write_meanwhile_counts_for_nothing(world: World):
    awake, asleep, unborn = log(world), log(world), log(world)
    assert awake.append(begun(1))
    asleep.refresh()
    compacted(awake, 3)
    for late in (asleep, unborn):
        assert not late.append(begun(late.state.last + 1))
        late.refresh()
        assert late.state == awake.state
    assert log(world).state == awake.state
    assert awake.append(begun(awake.state.last + 1))


def compacted(one: Log, times: int) -> None:
    """Write down the state so many times, and delete what lies before."""
    for _ in range(times):
        before = one.state.compacted
        for _ in range(3):
            assert one.append(Failed(1, "BudgetSpent", "no"))
        kept = {name: getattr(one.state, name) for name in ("last", "open", "source")}
        assert one.append(Compacted(State(**kept, compacted=one.number)))
        one.shorten(before)


def test_an_event_that_is_missing_or_damaged_is_named(world: World):
    one = log(world)
    for number in range(1, 5):
        one.append(begun(number))
    storage.delete(world.folder.event(2))
    with pytest.raises(StagingDamaged, match="events are missing"):
        log(world)
    storage.replace_bytes(world.folder.event(2), b"{}")
    with pytest.raises(StagingDamaged, match=r"000000000002\.json of the watch cannot be read"):
        log(world)
    storage.replace_bytes(world.folder.event(2), storage.read_bytes(world.folder.event(3)))
    with pytest.raises(StagingDamaged, match="belongs to another place"):
        log(world)


def test_a_folder_that_cannot_be_read_or_written_is_refused(world: World):
    one = log(world)
    world.store.fail("create_if_absent", PermissionError("no"))
    with pytest.raises(OutputRefused, match="cannot write"):
        one.append(begun(1))
    world.store.fail("files", PermissionError("no"))
    with pytest.raises(OutputRefused, match="cannot read"):
        log(world)


def test_an_event_whose_answer_was_lost_is_read_as_any_other(world: World):
    one = log(world)
    world.store.fail("create_if_absent", PermissionError("no"), after=True)
    with pytest.raises(OutputRefused):
        one.append(begun(1))
    assert one.refresh() == [begun(1)]
    assert one.state.last == 1


def test_a_log_of_failures_is_shortened_too(world: World):
    one = log(world)
    one.append(begun(1))
    ledger = Ledger(world.folder)
    for _ in range(400):
        one.append(Failed(1, "BudgetSpent", "no"))
        compact(one, world.folder, ledger)
    assert len(storage.list_names(world.folder.log)) <= 130
    assert log(world).state == one.state
    assert one.state.open[0].failures == 400
