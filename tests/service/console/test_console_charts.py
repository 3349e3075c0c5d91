"""Axes and charts of a search, without any page."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service.console.training_jobs import PARAMETERS, THREE, output, progress, replica, trial

from batchpredict.job import State
from batchpredict.service.console.axes import Columns, axis
from batchpredict.service.console.charts import BOTTOM, LEFT, RIGHT, TOP, beyond, charts
from batchpredict.service.console.training_views import MOST_PARAMETERS, MOST_TRIALS, TrainingView, training_view
from batchpredict.service.queue.lifecycle import Standing
from batchpredict.service.store import NewJob, StoredJob

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def view(*trials, params=PARAMETERS, goal: str = "MINIMIZE", snake: bool = False, **reported) -> TrainingView:
    """The view of a search with some trials."""
    spec = {"goal": goal, "params": list(params), "max_trials" if snake else "maxTrials": 10}
    document = {"training_input" if snake else "trainingInput": {"hyperparameters": spec, "region": "here"}}
    job = StoredJob(
        NewJob("p", "j", document), 1, NOW, "e", Standing(State.RUNNING, NOW), output(*trials), progress=reported
    )
    found = training_view(job)
    assert found is not None
    return found


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", path)]


# Axes ---------------------------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_every_value_has_a_place_on_its_axis(values, logarithmic, fenced):
    made = axis(values, 100, 0, logarithmic=logarithmic, best=min(values) if fenced else None)
    assert all(-0.01 <= made.at(value) <= 100.01 for value in values)
    assert made.at(max(values)) <= made.at(min(values))
    ticks = made.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(math.isfinite(tick.at) and len(tick.label) < 16 for tick in ticks)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], ["0", "0.5", "1"]),
        ([-3, 7], ["0", "5"]),
        ([8, 64], ["20", "40", "60"]),
        ([0.99991, 0.99994], ["0.99991", "0.99992", "0.99993", "0.99994"]),
        ([5], ["4.8", "5", "5.2"]),
    ],
)
def test_ticks_are_round_numbers_that_differ(values, labels):
    assert [tick.label for tick in axis(values, 0, 100).ticks()] == labels


def test_a_logarithmic_axis_has_powers_of_ten_at_equal_distances():
    made = axis([0.0001, 1], 0, 100, logarithmic=True)
    assert [(tick.label, round(tick.at)) for tick in made.ticks()] == [
        ("0.0001", 0),
        ("0.001", 25),
        ("0.01", 50),
        ("0.1", 75),
        ("1", 100),
    ]
    assert made.at(0.001) == pytest.approx(25)
    assert [tick.label for tick in axis([2, 5], 0, 100, logarithmic=True).ticks()] == ["2", "5"]


def test_one_trial_that_diverges_does_not_hide_the_others():
    losses = [0.1, 0.2, 0.3, 0.4, 1e12]
    made = axis(losses, 0, 100, best=0.1)
    assert made.high == 0.4
    assert made.at(1e12) == 100
    # The best one is on the axis however far it is ahead.
    assert axis([-1e12, 0.2, 0.3, 0.4, 0.5], 0, 100, best=-1e12).low == -1e12


def test_columns_share_the_axis_and_long_names_are_cut():
    made = Columns(["relu", "a name that has no room", "tanh"], 0, 90)
    assert [made.at(name) for name in made.names] == [15, 45, 75]
    assert [tick.label for tick in made.ticks()] == ["relu", "a n…", "tanh"]
    assert len(Columns([str(number) for number in range(1000)], 0, 90).ticks()) <= 6


# Charts -------------------------------------------------------------------------------------------------------


def test_the_best_so_far_is_a_line_down_in_the_order_of_the_ends():
    chart, *_ = charts(view(*THREE))
    # Ended 1, 2, 3, 4 with 0.75, 0.25, 0.5 and nothing.
    heights = [y for _, y in points(chart.points)]
    assert heights == [TOP, BOTTOM, pytest.approx((TOP + BOTTOM) / 2, abs=0.1)]
    across = [x for x, _ in points(chart.points)]
    assert across == sorted(across)
    first, second = across[0], across[1]
    end = LEFT + (RIGHT - LEFT) * 3.5 / 4
    assert chart.line == f"M{first} {TOP:.1f}H{second}V{BOTTOM:.1f}H{end:.1f}"


def test_where_more_is_better_the_line_goes_up():
    best_first = [trial(1, 0.9, {}), trial(2, 0.5, {}, ended=0)]
    chart, *_ = charts(view(*best_first, goal="MAXIMIZE"))
    assert re.search(rf"M\S+ {BOTTOM:.1f}H\S+V{TOP:.1f}H", chart.line)
    assert "higher is better" in chart.description


def test_a_slice_has_values_across_and_objectives_up():
    _, rate, units, activation = charts(view(*THREE))
    middle = (LEFT + RIGHT) / 2
    assert points(rate.points)[0] == (middle, BOTTOM)
    assert points(rate.best) == [(middle, BOTTOM)]
    assert [x for x, _ in points(units.points)] == sorted((x for x, _ in points(units.points)), reverse=True)
    quarter = (RIGHT - LEFT) / 4
    assert [x for x, _ in points(activation.points)] == [RIGHT - quarter, LEFT + quarter, LEFT + quarter]


def test_trials_beyond_the_axis_are_counted():
    diverged = trial(5, 1e12, {"rate": "1"})
    found = view(*THREE[:3], trial(6, 0.8, {}), diverged)
    assert beyond(found) == 1
    assert points(charts(found)[1].points)[-1][1] == TOP
    assert beyond(view(*THREE)) == beyond(view()) == 0


def test_nothing_is_drawn_before_a_trial_has_an_objective():
    assert charts(view()) == []
    assert charts(view(THREE[3])) == []


def test_a_parameter_that_no_trial_has_a_number_for_has_no_slice():
    odd = trial(1, 0.5, {"rate": "fast", "activation": "other"})
    assert [chart.title for chart in charts(view(odd))] == ["Best so far", "activation"]


def test_one_trial_is_a_chart():
    for goal in ("MINIMIZE", "MAXIMIZE"):
        assert len(charts(view(THREE[0], goal=goal))) == 4


def test_five_hundred_trials_and_many_parameters_stay_small():
    params = [
        {"parameterName": f"p{number}", "type": "DOUBLE", "minValue": 0, "maxValue": 1} for number in range(40)
    ]
    many = [
        trial(number, float(number), {f"p{place}": str(number / 600) for place in range(40)})
        for number in range(1, 601)
    ]
    found = view(*many, params=params)
    assert (len(found.trials), found.left_out) == (MOST_TRIALS, 100)
    assert (len(found.parameters), found.parameters_left_out) == (MOST_PARAMETERS, 40 - MOST_PARAMETERS)
    assert sum(len(chart.points) for chart in charts(found)) < 250_000


# The view -----------------------------------------------------------------------------------------------------


def test_a_document_in_the_other_spelling_is_the_same():
    snake = [
        {
            "parameter_name": "rate",
            "type": "DOUBLE",
            "min_value": 0.1,
            "max_value": 1,
            "scale_type": "UNIT_LOG_SCALE",
        },
        {"parameter_name": "size", "type": "DISCRETE", "discrete_values": [4, 2, 8]},
    ]
    found = view(*THREE, params=snake, snake=True)
    rate, size = found.parameters
    assert (rate.name, rate.low, rate.high, rate.logarithmic) == ("rate", 0.1, 1.0, True)
    assert (size.low, size.high) == (2.0, 8.0)
    assert found.wanted == 10


def test_a_prediction_job_has_no_view_of_training():
    job = StoredJob(NewJob("p", "j", {"predictionInput": {}}), 1, NOW, "e", Standing(State.RUNNING, NOW))
    assert training_view(job) is None
    assert training_view(replace(job, new=NewJob("p", "j", {}))) is None


def test_a_replica_of_a_search_leads_to_a_log_only_if_it_says_whose_it_is():
    several = [replica("trial-3/master-replica-0"), replica("master-replica-0")]
    found = view(**progress(several, done=0)).replicas
    assert [(one.trial, one.name, one.task) for one in found] == [
        ("3", "master-replica-0", "trial-3/master-replica-0"),
        ("", "master-replica-0", ""),
    ]
