"""The ledger of the files that were taken, and one look for those that were not."""

from __future__ import annotations

import os
import resource

import pytest
import support
from epochs.watching import World
from hypothesis import given
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.epochs import runs
from batchpredict.epochs.folder import Folder
from batchpredict.epochs.listing import Observed, Wanted, listed, look, refuse_inputs_in_output
from batchpredict.epochs.log import Log
from batchpredict.epochs.runs import Cursor, Ledger, compact, newest, sweep
from batchpredict.epochs.state import Begun, FileList, Run, SetAside, State, Succeeded
from batchpredict.errors import NoInput, WrongFlag
from batchpredict.ledger import find_leftovers

ENTRIES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(1, 9), st.integers(0, 3), st.just("v")).map(list)
)


@given(st.lists(ENTRIES, max_size=4))
def test_of_each_file_the_last_epoch_counts(sources):
    expected = {}
    for entry in sorted(entry for source in sources for entry in source):
        expected[entry[0]] = entry
    assert list(newest(map(iter, map(sorted, sources)))) == sorted(expected.values())


@given(st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)))
def test_rows_are_found_in_order(rows, asked):
    cursor = Cursor(iter([(row, 1) for row in sorted(rows)]))
    assert [cursor.at(url) is not None for url in sorted(asked)] == [url in rows for url in sorted(asked)]


def nothing(url: str) -> None:
    """No epoch has taken anything."""
    del url


def epochs_done(world: World, log: Log, ledger: Ledger, sizes: list[int]) -> None:
    """Epochs of so many files each that are done."""
    for size in sizes:
        number = log.state.last + 1
        names = sorted(f"{number:04d}-{row:04d}" for row in range(size))
        storage.replace_bytes(
            world.folder.list(f"l{number}"), "".join(f'["{name}",{number},"v"]\n' for name in names).encode()
        )
        assert log.append(Begun(number, FileList(f"l{number}", size, 0), "m", {}))
        assert log.append(Succeeded(number, {}))
        compact(log, world.folder, ledger, merged=4)


def test_lists_are_merged_into_few_runs_and_nothing_is_lost(world: World):
    log, ledger = Log(world.folder, "w"), Ledger(world.folder)
    log.refresh()
    epochs_done(world, log, ledger, [200, 1, 1, 1])
    (large,) = log.state.runs
    assert large.entries == 203
    epochs_done(world, log, ledger, [1] * 36)
    # The large one is not written again for a few more, and these are not many runs either.
    assert log.state.runs[0] == large
    assert 2 <= len(log.state.runs) <= 4
    assert sum(run.entries for run in log.state.runs) == 239
    assert len(list(ledger.taken(log.state))) == 239
    epochs_done(world, log, ledger, [20] * 4)
    assert [run.entries for run in log.state.runs] == [319]
    assert storage.list_names(world.folder.runs) == [log.state.runs[0].name]
    assert storage.list_names(world.folder.lists) == []
    ledger.close()


@pytest.mark.parametrize("held", [0, 3, 1000])
def test_the_last_epoch_of_a_file_is_found_however_much_is_held(world: World, monkeypatch, held):
    monkeypatch.setattr(runs, "_HELD", held)
    log, ledger = Log(world.folder, "w"), Ledger(world.folder)
    log.refresh()
    epochs_done(world, log, ledger, [5, 1, 1, 1, 2])
    # Taken again by the last one, and before that by one that is in a run.
    url = world.folder.list("l5")
    storage.replace_bytes(url, b'["0001-0003",7,"new"]\n["0005-0001",5,"v"]\n')
    last = ledger.lookup(log.state)
    expected = {entry[0]: entry for entry in ledger.taken(log.state)}
    assert expected["0001-0003"] == ["0001-0003", 5, 7, "new"]
    names = sorted({*expected, "0", "0001-00035", "z"})
    found = {name: last(name) for name in names}
    assert {name: entry for name, entry in found.items() if entry is not None} == expected
    ledger.close()


def test_however_many_epochs_were_set_aside_few_of_their_lists_are_open_at_a_time(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    state = State()
    for number in range(1, 301):
        support.write(folder.list(f"l{number}"), f'["a",{number},"v"]\n["b{number:03d}",1,"v"]\n'.encode())
        state = state.after(Begun(number, FileList(f"l{number}", 2, 2), "m", {})).after(SetAside(number))
    ledger = Ledger(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 100, hard))
    try:
        found = [tuple(entry) for entry in ledger.taken(state)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ledger.close()
    assert found == [("a", 300, 300, "v"), *((f"b{number:03d}", number, 1, "v") for number in range(1, 301))]


def test_what_watchers_that_died_have_left_is_swept_when_it_is_old(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    for name in ("named", "other"):
        support.write(folder.list(name), b"")
        support.write(folder.run(name), b"")
    state = State(runs=(Run("named", 0),), last=1).after(Begun(2, FileList("named", 0, 0), "m", {}))
    changed = os.stat(folder.list("named")).st_mtime
    sweep(folder, state, changed + 3600)
    assert storage.list_names(folder.lists) == ["named", "other"]
    sweep(folder, state, changed + 90000)
    assert storage.list_names(folder.lists) == storage.list_names(folder.runs) == ["named"]


def test_a_folder_is_listed_in_order_whatever_its_names(tmp_path):
    names = ["a.json", "a/z.json", "a-b/c.json", "a0.json", "b/c/d.json", "b/c.json", "b.d/e.json", "é/x.json"]
    for name in names:
        support.write(tmp_path / "in" / name, b"")
    found = [file.url for file in listed(str(tmp_path / "out"), [f"{tmp_path}/in/**"])]
    assert found == sorted(f"{tmp_path}/in/{name}" for name in names)


def test_what_several_patterns_match_comes_once_and_in_order(tmp_path):
    for name in ("1.json", "2.json", "3.csv"):
        support.write(tmp_path / "in" / name, b"")
    patterns = [f"{tmp_path}/in/*.json", f"{tmp_path}/in/[12]*", f"{tmp_path}/none/*", f"{tmp_path}/in/3.csv"]
    assert [file.url[-6:] for file in listed(str(tmp_path / "out"), patterns)] == ["1.json", "2.json", "/3.csv"]


def test_a_name_that_is_not_utf8_ends_a_listing_and_is_not_taken_for_its_end(tmp_path):
    for name in (b"a.json", b"b\xff.json", b"c.json"):
        support.write(tmp_path / "in" / os.fsdecode(name), b"")
    found = listed(str(tmp_path / "out"), [f"{tmp_path}/in/*"])
    assert next(found).url.endswith("/a.json")
    with pytest.raises(NoInput, match=r"inputPaths: the name of the file '.*b.*' is not UTF-8; rename it"):
        next(found)


def test_nothing_of_the_output_folder_is_taken_however_it_is_reached(tmp_path):
    support.write(tmp_path / "in" / "a", b"")
    support.write(tmp_path / "in" / "out" / "epoch=00000001" / "prediction.results-00000-of-00001", b"")
    os.symlink(tmp_path / "in" / "out", tmp_path / "in" / "link")
    assert [file.url for file in listed(f"{tmp_path}/in/out", [f"{tmp_path}/in/**"])] == [f"{tmp_path}/in/a"]
    refuse_inputs_in_output(f"{tmp_path}/in/out", [f"{tmp_path}/in/**", f"{tmp_path}/in/o*/x"])
    for pattern in ("in/out/*", "in/link/x/*.json", "in/out"):
        with pytest.raises(WrongFlag, match="of which no file is taken"):
            refuse_inputs_in_output(f"{tmp_path}/in/out", [f"{tmp_path}/{pattern}"])


def test_a_file_whose_store_says_that_it_is_old_is_taken_at_once(tmp_path):
    folder, observed = Folder(str(tmp_path / "out")), Observed()
    wanted = Wanted((f"{tmp_path}/in/*",), settle=10.0)
    old = support.write(tmp_path / "in" / "old", b"1\n")
    support.write(tmp_path / "in" / "new", b"1\n")
    now = os.stat(old).st_mtime
    os.utime(old, (now - 11, now - 11))
    found = look(folder, wanted, nothing, observed, now=0.0, time=now)
    assert found.chosen is not None
    assert (found.chosen.files, found.waiting) == (1, 1)
    # The other one is, too, when this watcher has seen it for so long, whatever the clocks say.
    assert look(folder, wanted, nothing, observed, now=9.9, time=0.0).waiting == 2
    found = look(folder, wanted, nothing, observed, now=10.0, time=0.0)
    assert found.chosen is not None
    assert found.waiting == 1
    observed.close()


def test_a_look_that_fails_forgets_nothing_and_leaves_nothing(world: World):
    world.write("a")
    observed = Observed()
    wanted = Wanted((f"{world.base}/in/*",), settle=10.0)
    look(world.folder, wanted, nothing, observed, now=0.0, time=0.0)

    def broken(url):
        raise NoInput("no")

    with pytest.raises(NoInput):
        look(world.folder, wanted, broken, observed, now=5.0, time=0.0)
    found = look(world.folder, wanted, nothing, observed, now=10.0, time=0.0)
    assert found.chosen is not None
    assert storage.list_names(world.folder.lists) == [found.chosen.name]
    observed.close()


def test_clean_takes_nothing_of_a_watch_for_a_leftover(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    for url in (folder.event(1), folder.list("l.jsonl"), folder.run("r.jsonl"), f"{folder.watchers}/1@h@1@a.json"):
        support.write(url, b"{}")
    assert find_leftovers(folder.output_path, float("inf")) == []
