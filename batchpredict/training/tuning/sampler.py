"""The default search, as a sampler of Optuna: some trials by a Gaussian process, the others by TPE.

Neither is good at everything: the model finds the bottom of a smooth valley, TPE gets on where there are many
minima or much noise. Each sees all results of the other, and what is pending. Of TPE's proposals the model has
the last word. `tests/benchmarks/tuning.py` says how near to known minima they come together.

The sampler keeps nothing between two trials: what it suggests is a function of its seed and of the trials in the
study, so a study that is rebuilt from stored trials goes on as if it had never been interrupted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from batchpredict.training.tuning import gaussian
from batchpredict.training.tuning.distributions import distribution, to_param, to_value
from batchpredict.training.tuning.space import Space, Value

# The first trials fill the space. Fewer leave the model without a picture, more cost half of a short search.
DESIGN = 8
# Points that TPE draws for the model to choose from. One alone is a good place to look, and no place to finish:
# with the choice among ten the gaps of branin and hartmann6 came to half, that of the mixed space to a third.
_CANDIDATES = 10
# The model suggests every second trial, and every fourth where more than a few are running: what it expects of so
# many is guesswork. For the same reason it is then told of those alone that run in turns of its own. Ten at a time
# that brought the gaps of rosenbrock from 31 to 11, of ackley from 15 to 12, of hartmann6 from 1.1 to 0.65.
_MODEL_OF_FEW, _MODEL_OF_MANY = 2, 4
_FEW = 5
# Draws before a space is searched for what has not been tried.
_DRAWS = 10
# A space of so few points is gone through one by one.
_COUNTABLE = 10_000


class MixtureSampler(BaseSampler):
    """Suggests points of a `Space` for a study whose trials have the parameters that `distributions` gives.

    Trials that failed, or were pruned, count as the worst of all results: whatever broke them may well be their
    point. Those that are running are taken into account by both halves.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._free = tuple(parameter for parameter in space.parameters if not distribution(parameter).single())

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        return {parameter.name: distribution(parameter) for parameter in self._free}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        if not self._free:
            return {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        seen = {self._key(other.params) for other in others if self._fits(other)}
        params = self._suggested(study, trial, others)
        rng = random.Random(f"{self._seed}/{trial.number}")
        for _ in range(_DRAWS):
            if self._key(params) not in seen:
                return params
            params = self._drawn(rng)
        return self._untried(seen, rng) or params

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A parameter with one value, or one that the space does not know: any value that it may have."""
        rng = random.Random(f"{self._seed}/{trial.number}/{param_name}")
        if isinstance(param_distribution, CategoricalDistribution):
            return rng.choice(param_distribution.choices)
        if isinstance(param_distribution, IntDistribution):
            return rng.randrange(param_distribution.low, param_distribution.high + 1, param_distribution.step)
        if isinstance(param_distribution, FloatDistribution):
            return rng.uniform(param_distribution.low, param_distribution.high)
        raise ValueError(f"{param_name}: {param_distribution} is no distribution of this sampler")

    def _suggested(self, study: Study, trial: FrozenTrial, others: Sequence[FrozenTrial]) -> dict[str, Any]:
        seed = random.Random(f"{self._seed}/{trial.number}").randrange(2**31)
        if trial.number < DESIGN:
            points = gaussian.design(self._free, DESIGN, self._seed % 2**31)
            return self._params(points[trial.number])
        results = self._results(study, others)
        if len(results.tried) < gaussian.FEWEST:
            return self._drawn(random.Random(seed))
        try:
            if trial.number % (_MODEL_OF_MANY if _are_many(others) else _MODEL_OF_FEW) == 0:
                return self._params(gaussian.suggest(results, seed))
            candidates = self._by_density(study, trial, seed, _CANDIDATES)
            return self._params(gaussian.best(results, candidates, seed))
        except gaussian.NoModel:
            return self._params(self._by_density(study, trial, seed, 1)[0])

    def _by_density(self, study: Study, trial: FrozenTrial, seed: int, count: int) -> list[list[Value]]:
        density = TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
        terms = self.infer_relative_search_space(study, trial)
        return [self._point(density.sample_relative(study, trial, terms)) for _ in range(count)]

    def _results(self, study: Study, others: Sequence[FrozenTrial]) -> gaussian.Results:
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        fitting = [other for other in others if self._fits(other)]
        ended = [other for other in fitting if other.state.is_finished()]
        values = [other.value if other.state is TrialState.COMPLETE else None for other in ended]
        worst = max((sign * value for value in values if value is not None), default=0.0)
        losses = [worst if value is None else sign * value for value in values]
        return gaussian.Results(
            self._free,
            [self._point(other.params) for other in ended],
            np.array(losses, np.float64),
            [self._point(other.params) for other in _awaited(fitting)],
        )

    def _drawn(self, rng: random.Random) -> dict[str, Any]:
        return self._params([parameter.from_unit(rng.random()) for parameter in self._free])

    def _untried(self, seen: set[tuple[Any, ...]], rng: random.Random) -> dict[str, Any] | None:
        """Any point that has not been tried; None if there is none, or if they are too many to look."""
        count = Space(self._free).count
        if count is None or count > _COUNTABLE:
            return None
        order = list(range(count))
        rng.shuffle(order)
        points = (self._params(Space(self._free).nth(index)) for index in order)
        return next((params for params in points if self._key(params) not in seen), None)

    def _fits(self, trial: FrozenTrial) -> bool:
        return all(parameter.name in trial.params for parameter in self._free)

    def _key(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(to_value(parameter, params[parameter.name]) for parameter in self._free)

    def _point(self, params: dict[str, Any]) -> list[Value]:
        return list(self._key(params))

    def _params(self, point: Sequence[Value]) -> dict[str, Any]:
        return {
            parameter.name: to_param(parameter, value) for parameter, value in zip(self._free, point, strict=True)
        }


def _are_many(trials: Sequence[FrozenTrial]) -> bool:
    return sum(not trial.state.is_finished() for trial in trials) > _FEW


def _awaited(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Of the running trials those that the model is told of."""
    running = [trial for trial in trials if not trial.state.is_finished()]
    return [trial for trial in running if trial.number % _MODEL_OF_FEW == 0] if _are_many(trials) else running
