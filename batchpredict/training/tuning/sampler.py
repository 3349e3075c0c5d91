"""The default search, as a sampler of Optuna: half of the trials by a Gaussian process, half by TPE.

Neither is good at everything: the model finds the bottom of a smooth valley, TPE gets on where there are many
minima or much noise. Each sees all results of the other, and what is pending. The figures are in docs and in
`tests/benchmarks/tuning.py`.

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
        seed = self._seed_of(trial)
        if trial.number < DESIGN:
            points = gaussian.design(self._free, DESIGN, self._seed % 2**31)
            return self._params(points[trial.number])
        ended = [other for other in others if other.state.is_finished() and self._fits(other)]
        if len(ended) < gaussian.FEWEST:
            return self._drawn(random.Random(seed))
        if trial.number % 2:
            return self._by_density(study, trial)
        try:
            pending = [other for other in others if not other.state.is_finished() and self._fits(other)]
            return self._by_model(study.direction, ended, pending, seed)
        except gaussian.NoModel:
            return self._by_density(study, trial)

    def _by_density(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        # It counts on nothing but the study, and its randomness is to depend on nothing but the trial.
        density = TPESampler(seed=self._seed_of(trial), n_startup_trials=0, multivariate=True, constant_liar=True)
        return density.sample_relative(study, trial, self.infer_relative_search_space(study, trial))

    def _by_model(
        self,
        direction: StudyDirection,
        ended: Sequence[FrozenTrial],
        pending: Sequence[FrozenTrial],
        seed: int,
    ) -> dict[str, Any]:
        sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
        results = [trial.value if trial.state is TrialState.COMPLETE else None for trial in ended]
        found = np.array([np.nan if result is None else sign * result for result in results], np.float64)
        if np.isnan(found).all():
            raise gaussian.NoModel("no trial has a result")
        found[np.isnan(found)] = np.nanmax(found)
        tried, running = ([self._point(trial) for trial in some] for some in (ended, pending))
        return self._params(gaussian.suggest(self._free, tried, found, running, seed))

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

    def _seed_of(self, trial: FrozenTrial) -> int:
        return random.Random(f"{self._seed}/{trial.number}").randrange(2**31)

    def _fits(self, trial: FrozenTrial) -> bool:
        return all(parameter.name in trial.params for parameter in self._free)

    def _key(self, params: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(to_value(parameter, params[parameter.name]) for parameter in self._free)

    def _point(self, trial: FrozenTrial) -> list[Value]:
        return list(self._key(trial.params))

    def _params(self, point: Sequence[Value]) -> dict[str, Any]:
        return {
            parameter.name: to_param(parameter, value) for parameter, value in zip(self._free, point, strict=True)
        }
