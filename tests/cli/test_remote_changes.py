"""What the client computes by itself: paths, labels, policies, the order of lists, which field a flag is."""

from __future__ import annotations

import argparse
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.cli.remote.connection import connect
from batchpredict.cli.remote.labels import changed
from batchpredict.cli.remote.listing import _sorted
from batchpredict.cli.remote.paths import absolute
from batchpredict.cli.remote.policies import _with, _without
from batchpredict.cli.remote.render import plain
from batchpredict.cli.remote.watch import snapshot
from batchpredict.errors import WrongCall

NAMES = st.text("abc", min_size=1, max_size=3)
LABELS = st.dictionaries(NAMES, NAMES, max_size=5)


@given(LABELS, LABELS, st.lists(NAMES), st.booleans())
def test_labels_after_an_update(before, update, remove, clear):
    options = argparse.Namespace(update_labels=update, remove_labels=None if clear else remove, clear_labels=clear)
    after = changed(before, options)
    for key in {*before, *update}:
        if key in update:
            assert after[key] == update[key]
        else:
            assert (key in after) == (not clear and key not in remove)
    assert set(after) <= {*before, *update}


ROLES, MEMBERS = st.sampled_from(["r1", "r2"]), st.sampled_from(["m1", "m2", "m3"])
CONDITION = st.just({"expression": "true"})
BINDING = st.fixed_dictionaries(
    {"role": ROLES, "members": st.lists(MEMBERS, min_size=1, unique=True)}, optional={"condition": CONDITION}
)
BINDINGS = st.lists(BINDING, max_size=4)


def pairs(policy: dict[str, Any]) -> set[tuple[str, str]]:
    """Who has which role without a condition."""
    return {
        (binding["role"], member)
        for binding in policy.get("bindings", ())
        if not binding.get("condition")
        for member in binding["members"]
    }


def conditional(policy: dict[str, Any]) -> list[Any]:
    return [binding for binding in policy.get("bindings", ()) if binding.get("condition")]


@given(BINDINGS, ROLES, MEMBERS)
def test_a_binding_more_or_less_changes_nothing_else(bindings, role, member):
    policy = {"etag": "e", "bindings": bindings}
    more = _with(policy, role, member)
    assert pairs(more) == pairs(policy) | {(role, member)}
    assert (conditional(more), more["etag"]) == (conditional(policy), "e")
    if (role, member) not in pairs(policy):
        with pytest.raises(WrongCall, match="has not the role"):
            _without(policy, role, member)
        policy = more
    less = _without(policy, role, member)
    assert pairs(less) == pairs(policy) - {(role, member)}
    assert (conditional(less), less["etag"]) == (conditional(policy), "e")
    assert all(binding["members"] for binding in less["bindings"])


@pytest.mark.parametrize("path", ["gs://b/*", "/x/../y", "file:///x", "memory://x", ""])
def test_what_means_the_same_everywhere_stays(path):
    assert absolute(path, pattern=True) == path


@pytest.mark.parametrize("path", ["in.json", "./in.json", "sub/../in.json", "*.json", "in.js[o]n"])
@pytest.mark.parametrize("folder", ["plain", "with [brackets] and *"])
def test_a_relative_path_matches_the_file_that_it_matches_here(path, folder, tmp_path, monkeypatch):
    here = tmp_path / folder
    (here / "sub").mkdir(parents=True)
    (here / "in.json").write_text("{}")
    monkeypatch.chdir(here)
    pattern = absolute(path, pattern=True)
    monkeypatch.chdir("/")
    assert [found.url for found in storage.expand(pattern)] == [str(here / "in.json")]


def test_the_output_folder_is_no_pattern(tmp_path, monkeypatch):
    here = tmp_path / "with [brackets]"
    here.mkdir()
    monkeypatch.chdir(here)
    assert absolute("out") == os.path.join(here, "out")


def test_lists_are_ordered_by_number_where_they_have_numbers_and_what_is_not_set_comes_first():
    jobs: list[Any] = [{"n": "10", "k": "b"}, {"n": "9", "k": "a"}, {"k": "a"}, {"n": "9", "k": "b"}]
    assert _sorted(list(jobs), ["n", "~k"]) == [jobs[2], jobs[3], jobs[1], jobs[0]]
    assert _sorted(list(jobs), ["~n"])[0] == jobs[0]


def test_a_terminal_is_not_steered_by_what_others_wrote():
    assert plain("a\x1b]0;x\x07\r\tb\u202e") == "a�]0;x��\tb�"


def test_a_job_that_was_not_looked_into_yet_has_made_no_progress():
    found = snapshot({"state": "RUNNING"})
    assert (found.tally.records, found.total_bytes, found.workers) == (0, 0, 0)
    output = {"predictionCount": "5", "errorCount": "2"}
    found = snapshot({"predictionOutput": output, "progress": {"done": "10", "total": "20", "workers": "2"}})
    assert (found.tally.records, found.tally.bytes, found.total_bytes, found.workers) == (7, 10, 20, 2)


def options(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"endpoint": None, "project": None, "access_token_file": None, **given})


def test_a_flag_goes_before_the_environment_and_our_variable_before_googles():
    environment = {"CLOUDSDK_CORE_PROJECT": "google", "BATCHPREDICT_ENDPOINT": "https://x/jobs/"}
    found = connect(options(), environment)
    assert (found.project, found.endpoint, found.token) == ("google", "https://x/jobs", "")
    environment |= {"BATCHPREDICT_PROJECT": "ours", "BATCHPREDICT_TOKEN": "t\n"}
    assert (connect(options(), environment).project, connect(options(), environment).token) == ("ours", "t")
    assert connect(options(project="flag", endpoint="http://y"), environment).project == "flag"
    assert connect(options(), {}).endpoint == "http://127.0.0.1:8080"


def test_a_token_is_not_shown_in_a_message():
    with pytest.raises(WrongCall, match="BATCHPREDICT_TOKEN: what is there is not one token"):
        connect(options(), {"BATCHPREDICT_TOKEN": "two words"})
    assert "secret" not in repr(connect(options(), {"BATCHPREDICT_TOKEN": "secret"}))
