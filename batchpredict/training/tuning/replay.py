"""A study of Optuna that is made anew from the trials of a job, for one suggestion."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from batchpredict.job import GoalType
from batchpredict.training.tuning import trial as ours
from batchpredict.training.tuning.distributions import distributions, to_params, to_values
from batchpredict.training.tuning.sampler import MixtureSampler
from batchpredict.training.tuning.space import Space, Value

# It says of each study that it was created, and here each suggestion has one.
logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)


def suggested(space: Space, goal: GoalType, known: Sequence[ours.Trial], seed: int) -> dict[str, Value]:
    """What the default search tries after the trials that are known, given in the order in which they began."""
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        sampler=MixtureSampler(space, seed),
        direction="minimize" if goal is GoalType.MINIMIZE else "maximize",
    )
    terms = distributions(space)
    study.add_trials(_frozen(trial, space, terms) for trial in known)
    return to_values(space, study.ask(terms).params)


def _frozen(trial: ours.Trial, space: Space, terms: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial in Optuna's terms. What ended without a result is PRUNED there: the worst, and not forgotten."""
    if trial.state is ours.TrialState.PENDING:
        state = TrialState.RUNNING
    else:
        state = TrialState.PRUNED if trial.result is None else TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=state, value=trial.result, params=to_params(space, trial.values), distributions=terms
    )
