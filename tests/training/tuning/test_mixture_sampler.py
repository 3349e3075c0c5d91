"""The default search as a sampler of Optuna, in a study of Optuna's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from training.tuning.searching import MIXED, spec

from batchpredict.training.tuning import Space, Value, gaussian
from batchpredict.training.tuning.distributions import distributions, to_params, to_values
from batchpredict.training.tuning.sampler import DESIGN, MixtureSampler

SPACE = Space.of(spec(*MIXED).params)


def study(seed: int = 1, **fields: Any) -> optuna.Study:
    return optuna.create_study(sampler=MixtureSampler(SPACE, seed), **fields)


def loss(params: dict[str, Any]) -> float:
    values = to_values(SPACE, params)
    return float(abs(np.log10(float(values["lr"])) + 3) + float(values["drop"]))


def test_it_samples_what_optuna_asks_for() -> None:
    found = study()
    terms = distributions(SPACE)
    for _ in range(14):
        trial = found.ask(terms)
        found.tell(trial, loss(trial.params))
    assert len(found.trials) == 14
    assert all(SPACE.holds(to_values(SPACE, trial.params)) for trial in found.trials)


def test_values_are_the_same_in_optunas_terms() -> None:
    values: dict[str, Value] = {"lr": 0.003, "units": 77, "drop": 0.3, "opt": "rms", "layers": 4.0}
    again = to_values(SPACE, to_params(SPACE, values))
    assert again == {**values, "lr": pytest.approx(0.003)}


def test_a_maximum_is_found_as_a_minimum_is() -> None:
    """Mirrored results lead to the same points, in both halves."""
    down, up = study(direction="minimize"), study(direction="maximize")
    terms = distributions(SPACE)
    for _ in range(13):
        one, other = down.ask(terms), up.ask(terms)
        assert one.params == other.params
        down.tell(one, loss(one.params))
        up.tell(other, -loss(other.params))


def test_a_parameter_that_the_space_does_not_know_is_drawn() -> None:
    trial = study().ask()
    assert trial.suggest_categorical("other", ["a", "b"]) in ("a", "b")
    assert 3 <= trial.suggest_int("whole", 3, 9) <= 9
    assert 0.5 <= trial.suggest_float("real", 0.5, 1) <= 1


def test_both_halves_are_asked_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    suggest = gaussian.suggest

    def listened(*args: Any) -> Any:
        asked.append(len(args[0].tried))
        return suggest(*args)

    monkeypatch.setattr(gaussian, "suggest", listened)
    found = study()
    for _ in range(16):
        trial = found.ask(distributions(SPACE))
        found.tell(trial, loss(trial.params))
    assert asked == list(range(DESIGN, 16, 2))


def test_a_model_that_cannot_be_fitted_is_no_end_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise gaussian.NoModel("no")

    monkeypatch.setattr(gaussian, "suggest", refuse)
    monkeypatch.setattr(gaussian, "best", refuse)
    found = study()
    for _ in range(12):
        trial = found.ask(distributions(SPACE))
        found.tell(trial, loss(trial.params))
    assert len(found.trials) == 12


def test_the_model_is_told_of_the_best_when_there_are_too_many() -> None:
    results = np.random.default_rng(1).random(500)
    chosen = gaussian.telling(results, 100)
    assert len(chosen) == len(set(chosen)) == 100
    assert set(np.argsort(results)[:50]) <= set(chosen)


def test_what_is_worse_than_the_median_is_flattened() -> None:
    results = np.array([0.0, 1.0, 2.0, 3.0, 1e9])
    flat = gaussian.flattened(results)
    assert list(flat[:3]) == [0, 1, 2]
    assert 2 < flat[3] < flat[4] <= 4


def test_equal_results_are_flat() -> None:
    assert list(gaussian.flattened(np.array([1.0, 1.0, 1.0, 9.0]))) == [1, 1, 1, 1]
