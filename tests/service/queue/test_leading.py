"""Who leads a watch: every event in every standing, and random schedules."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.service.queue import LeaseLost, NotNow
from batchpredict.service.queue.leading import (
    Falter,
    Keep,
    Lead,
    LeadEvent,
    Leading,
    Pause,
    Refuse,
    Report,
    Resume,
    WatchState,
    Yield,
    may_be_led,
    step,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
LEASE = timedelta(seconds=15)
FREE = Leading()
LED = step(FREE, Lead("w", START + LEASE), START)


def test_a_lead_takes_what_is_active_and_free():
    assert (LED.worker, LED.generation, LED.until) == ("w", 1, START + LEASE)
    for standing in (LED, replace(FREE, state=WatchState.PAUSED), replace(FREE, not_before=START + LEASE)):
        with pytest.raises(NotNow):
            step(standing, Lead("v", START + LEASE), START)
    lapsed = step(LED, Lead("v", START + 2 * LEASE), START + LEASE)
    assert (lapsed.worker, lapsed.generation) == ("v", 2)


def test_a_leader_keeps_gives_back_and_falters():
    kept = step(LED, Keep(1, START + 2 * LEASE), START)
    assert kept == replace(LED, until=START + 2 * LEASE)
    given_back = step(kept, Yield(1), START)
    assert given_back == replace(FREE, generation=1)
    lost = step(kept, Falter(1, "it was killed"), START)
    assert (lost.worker, lost.losses, lost.not_before, lost.message) == (
        "", 1, START + timedelta(seconds=1), "it was killed"
    )  # fmt: skip
    again = step(step(lost, Lead("w", START + LEASE), START + LEASE), Falter(2, "again"), START + LEASE)
    assert again.not_before == START + LEASE + timedelta(seconds=2)


def test_a_report_ends_what_was_wrong_and_leaves_what_a_pause_says():
    troubled = replace(LED, losses=3, message="it was killed")
    assert step(troubled, Report(1), START) == replace(LED, losses=3)
    assert step(troubled, Report(1, done=True), START) == LED
    paused = replace(LED, state=WatchState.PAUSED, message="look")
    assert step(paused, Report(1, done=True), START) == paused


def test_what_a_person_has_to_look_at_pauses_it_and_a_resume_begins_anew():
    refused = step(LED, Refuse(1, "a file has changed"), START)
    assert (refused.state, refused.worker, refused.message) == (WatchState.PAUSED, "", "a file has changed")
    assert step(refused, Resume(), START) == replace(FREE, generation=1)
    # The leader of a watch that is paused finds out when it keeps its lease.
    paused = step(LED, Pause(), START)
    assert (paused.state, paused.worker) == (WatchState.PAUSED, "w")
    assert step(paused, Yield(1), START).worker == ""


@pytest.mark.parametrize("event", [Keep(1, START + LEASE), Report(1), Yield(1), Falter(1, ""), Refuse(1, "")])
def test_what_an_earlier_leader_says_is_refused(event: LeadEvent):
    later = step(LED, Lead("v", START + 2 * LEASE), START + LEASE)
    for standing in (later, step(LED, Yield(1), START)):
        with pytest.raises(LeaseLost):
            step(standing, event, START)


_EVENTS = st.one_of(
    st.builds(lambda worker: ("lead", worker), st.sampled_from("uvw")),
    st.builds(lambda what, back: (what, back), st.sampled_from(["keep", "yield", "falter", "refuse"]),
              st.integers(0, 2)),
    st.sampled_from([("pause", 0), ("resume", 0), ("wait", 0)]),
)  # fmt: skip


@given(st.lists(_EVENTS, max_size=60))
def test_in_any_schedule_a_generation_is_given_once_and_never_to_two_at_a_time(events):
    standing, now = FREE, START
    given_to: dict[int, str] = {}
    for what, detail in events:
        now += timedelta(seconds=20 if what == "wait" else 1)
        generation = standing.generation - detail if isinstance(detail, int) else 0
        events_of: dict[str, LeadEvent] = {
            "keep": Keep(generation, now + LEASE),
            "yield": Yield(generation),
            "falter": Falter(generation, "it died"),
            "refuse": Refuse(generation, "look"),
            "pause": Pause(),
            "resume": Resume(),
            "lead": Lead(str(detail), now + LEASE),
        }
        if what not in events_of:
            continue
        event = events_of[what]
        led = bool(standing.worker) and standing.until is not None and now < standing.until
        try:
            after = step(standing, event, now)
        except (LeaseLost, NotNow):
            continue
        if isinstance(event, Lead):
            assert not led
            assert standing.state is WatchState.ACTIVE
            assert after.generation == standing.generation + 1
            assert after.generation not in given_to
            given_to[after.generation] = after.worker
        else:
            assert after.generation == standing.generation
            assert after.worker in ("", standing.worker)
        if after.state is WatchState.PAUSED:
            assert not may_be_led(after, now + timedelta(days=1))
        standing = after
