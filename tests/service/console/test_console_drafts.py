"""Ids that follow from ids, faults at their fields, and how numbers, spans and shares are written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.errors import Violation
from batchpredict.job import State
from batchpredict.resources import id_fault
from batchpredict.service.console.drafts import another_id, at_fields
from batchpredict.service.console.figures import duration, grouped, instant, iso
from batchpredict.service.console.pages import visible
from batchpredict.service.console.views import job_view, timeline
from batchpredict.service.queue.lifecycle import queued
from batchpredict.service.store import Change, NewJob, StoredJob

IDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,127}", fullmatch=True)
NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "following"),
    [
        ("census", "census_2"),
        ("census_2", "census_3"),
        ("n_09", "n_10"),
        ("a1", "a1_2"),
        ("x" * 128, "x" * 127 + "2"),
    ],
)
def test_the_id_of_a_job_that_is_submitted_again_counts_up(given, following):
    assert another_id(given, lambda _: False) == following


def test_an_id_that_is_taken_is_not_suggested():
    assert another_id("a", {"a_2", "a_3"}.__contains__) == "a_4"


@given(IDS, st.sets(IDS))
def test_a_suggested_id_is_legal_and_another_one(name, taken):
    found = another_id(name, taken.__contains__)
    assert id_fault(found) is None
    assert found != name


@pytest.mark.parametrize(
    ("field", "description", "place", "text"),
    [
        ("job.job_id", "Taken.", "job_id", "Taken."),
        ("job_id", "Bad.", "job_id", "Bad."),
        ("prediction_input.input_paths[3]", "No.", "input_paths", "prediction_input.input_paths[3]: No."),
        ("job.prediction_input.output_path", "No.", "output_path", "No."),
        ("prediction_input.instance_config.key_field", "No.", "key_field", "No."),
        ("prediction_input.uri", "No.", "model", "No."),
        ("job.labels.a", "No.", "labels", "No."),
        ("prediction_input.accelerator.type", "No.", "input", "prediction_input.accelerator.type: No."),
        ("", "No.", "", "No."),
    ],
)
def test_a_fault_is_shown_at_the_field_that_it_is_about(field, description, place, text):
    assert at_fields([Violation(field, description)]) == {place: [text]}


def test_a_fault_within_an_input_in_json_names_its_path():
    violations = [Violation("prediction_input.batch_size", "No."), Violation("job_id", "Bad.")]
    found = at_fields(violations, as_json=True)
    assert found == {"input": ["prediction_input.batch_size: No."], "job_id": ["Bad."]}


@given(st.text(), st.text())
def test_every_fault_is_shown_somewhere(field, description):
    (texts,) = at_fields([Violation(field, description)]).values()
    assert description in texts[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (86_400 * 3 + 5, "3 d")],
)
def test_a_span_is_written_in_its_two_largest_units(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1234567, "1,234,567"), (0.0021, "0.0021"), (2.5, "2.5"), (12345.678, "12,346"), (3.0, "3")],
)
def test_numbers_are_grouped(number, text):
    assert grouped(number) == text


def test_times_are_utc():
    east = datetime(2026, 5, 1, 14, 30, 59, 999, tzinfo=timezone(timedelta(hours=2)))
    assert instant(east) == "2026-05-01 12:30:59 UTC"
    assert iso(east) == "2026-05-01T12:30:59Z"


@given(st.text())
def test_what_cannot_be_seen_is_written_out(text):
    shown = visible(text)
    assert not any(ord(sign) < 32 and sign not in "\t\n\r" for sign in shown)
    assert "\u202e" not in shown


def stored(state: State, **changes: Any) -> StoredJob:
    """A job that was created ten minutes ago, and began 100 seconds ago."""
    created = NOW - timedelta(minutes=10)
    standing = replace(queued(created), state=state, start_time=NOW - timedelta(seconds=100))
    return StoredJob(NewJob("p", "j", {}), 1, created, "", standing, **changes)


@pytest.mark.parametrize(
    ("state", "progress", "percent"),
    [
        (State.RUNNING, None, None),
        (State.RUNNING, {"done": 0, "total": 0}, None),
        (State.RUNNING, {"done": 5, "total": 10}, 50),
        (State.RUNNING, {"done": "9", "total": 10}, 90),
        (State.RUNNING, {"done": 10, "total": 10}, 99),
        (State.FAILED, {"done": 20, "total": 10}, 99),
        (State.RUNNING, {"done": "x", "total": [1]}, None),
        (State.SUCCEEDED, None, 100),
    ],
)
def test_a_job_is_whole_only_when_it_has_succeeded(state, progress, percent):
    assert job_view(stored(state, progress=progress), NOW).percent == percent


def test_the_rate_is_of_all_records_over_the_whole_run():
    view = job_view(stored(State.RUNNING, output={"predictionCount": "900", "errorCount": "100"}), NOW)
    assert (view.records, view.rate, view.running) == (1000, 10.0, timedelta(seconds=100))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_whatever_a_job_process_has_reported_can_be_shown(value):
    output = {"predictionCount": value, "errorCount": value, "nodeHours": value}
    view = job_view(stored(State.RUNNING, output=output, progress={"done": value, "total": value}), NOW)
    assert view.percent is None or 0 <= view.percent <= 100
    for number in (view.predictions, view.errors, view.node_hours):
        assert number is None or grouped(number)


def test_what_is_said_aloud_changes_every_ten_percent():
    said = {
        job_view(stored(State.RUNNING, progress={"done": done, "total": 100}), NOW).spoken for done in range(100)
    }
    assert len(said) == 10


def test_each_state_lasts_until_the_next_and_the_last_until_now_or_for_ever():
    def change(before: State | None, after: State, seconds: int) -> Change:
        return Change("p", "j", 0, before, after, NOW - timedelta(seconds=seconds))

    running = [change(None, State.QUEUED, 60), change(State.QUEUED, State.PREPARING, 20)]
    assert [step.lasted for step in timeline(running, NOW)] == [timedelta(seconds=40), timedelta(seconds=20)]
    over = [*running, change(State.PREPARING, State.FAILED, 5)]
    assert timeline(over, NOW)[-1].lasted is None
