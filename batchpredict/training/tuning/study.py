"""The search of one job: what to try next, and whether to go on.

It keeps nothing and is given the trials each time, so a driver that died loses nothing. The search is
deterministic: of the same specification, seed and trials comes the same point, in whatever order they ended.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from batchpredict.errors import InvalidJob, JobFailed, Violation
from batchpredict.job import Algorithm, GoalType, HyperparameterSpec, ParameterType
from batchpredict.training.tuning.space import Space, Value
from batchpredict.training.tuning.trial import Trial, TrialState

# "Defaults to zero, which means the service decides when a hyperparameter job should fail": if this many trials
# failed and none has come to an end, the trainer and not its parameters is at fault.
_HOPELESS = 5


@dataclass(frozen=True)
class Outlook:
    """What is to become of a search.

    Attributes:
      begin: how many more trials may begin now.
      over: whether all is done: nothing is pending and nothing may begin, or it has failed.
      failure: why the job fails, as a sentence; None if it does not. What is pending is then to be ended.
    """

    begin: int
    over: bool
    failure: str | None = None


class Study:
    """A search over the space of a specification.

    Args:
      spec: what to tune; valid.
      seed: whatever tells this search from another one.
      earlier: ended trials of the job that this one resumes. They are known to the search and count as no trials
        of its own; those that are no points of this space are left out.

    Raises:
      InvalidJob: a grid over a parameter of type DOUBLE.
    """

    def __init__(self, spec: HyperparameterSpec, seed: int, earlier: Sequence[Trial] = ()) -> None:
        self.spec = spec
        self.space = Space.of(spec.params)
        self._seed = seed
        self._earlier = tuple(trial for trial in earlier if self._holds(trial))
        if spec.algorithm is Algorithm.GRID_SEARCH:
            _check_grid(spec)

    def ask(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """The values of the trial that begins next.

        The default search computes in threads that do not survive a fork: a process that has asked may start
        others, and must not fork without `exec`.

        Args:
          trials: all that have begun, in any order: their numbers are 1 to N.
        """
        known = [*self._earlier, *sorted(trials, key=lambda trial: trial.number)]
        if self.spec.algorithm is Algorithm.GRID_SEARCH:
            return self._next_of_grid(known)
        if self.spec.algorithm is Algorithm.RANDOM_SEARCH:
            return self._drawn(len(known))
        return self._suggested(known)

    def outlook(self, trials: Sequence[Trial]) -> Outlook:
        """Whether to begin trials, to wait, or to end."""
        failure = self._failure(trials)
        if failure is not None:
            return Outlook(0, True, failure)
        pending = sum(trial.state is TrialState.PENDING for trial in trials)
        left = self._most() - len(trials)
        begin = max(min(left, self.spec.effective_max_parallel_trials - pending), 0)
        return Outlook(begin, over=not pending and left <= 0)

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """The trial with the best result so far; of equals the first."""
        return min(
            (trial for trial in trials if trial.result is not None),
            key=lambda trial: (self.loss(trial), trial.number),
            default=None,
        )

    def loss(self, trial: Trial) -> float:
        """The result of a trial that has one, to be minimized."""
        result = trial.result
        if result is None:
            raise ValueError(f"trial {trial.number} has no result")
        return result if self.spec.effective_goal is GoalType.MINIMIZE else -result

    def _holds(self, trial: Trial) -> bool:
        return trial.state is not TrialState.PENDING and self.space.holds(trial.values)

    def _most(self) -> int:
        """How many trials there are to be: a grid may have fewer points than the job has trials."""
        count = self.space.count
        if self.spec.algorithm is not Algorithm.GRID_SEARCH or count is None:
            return self.spec.effective_max_trials
        return min(self.spec.effective_max_trials, count - len(self._done(self._earlier)))

    def _failure(self, trials: Sequence[Trial]) -> str | None:
        failed = [trial.number for trial in trials if trial.state is TrialState.FAILED]
        most = self.spec.max_failed_trials or 0
        if most and len(failed) >= most:
            return f"{_trials(len(failed))} failed, and maxFailedTrials is {most}."
        ended = sum(trial.state in (TrialState.COMPLETED, TrialState.STOPPED) for trial in trials)
        if failed and not ended and len(failed) >= min(_HOPELESS, self._most()):
            return f"{_trials(len(failed))} failed, and none has succeeded."
        return None

    def _done(self, trials: Sequence[Trial]) -> set[tuple[Value, ...]]:
        return {tuple(trial.values[each.name] for each in self.space.parameters) for trial in trials}

    def _next_of_grid(self, known: Sequence[Trial]) -> dict[str, Value]:
        done = self._done(known)
        count = self.space.count or 0
        # Of as many points as there are trials, and one more, one has not been tried.
        points = (tuple(self.space.nth(index)) for index in range(min(count, len(done) + 1)))
        point = next((point for point in points if point not in done), None)
        if point is None:
            point = tuple(self.space.nth(len(known) % count))
        return self._named(point)

    def _named(self, point: Sequence[Value]) -> dict[str, Value]:
        return {each.name: value for each, value in zip(self.space.parameters, point, strict=True)}

    def _drawn(self, position: int) -> dict[str, Value]:
        rng = random.Random(f"{self._seed}/{position}")
        return self._named([each.from_unit(rng.random()) for each in self.space.parameters])

    def _suggested(self, known: Sequence[Trial]) -> dict[str, Value]:
        # Optuna takes most of a second to import, and only this search needs it.
        try:
            from batchpredict.training.tuning.replay import suggested
        except ModuleNotFoundError as error:
            needed = f"A search needs packages that are not installed ({error.name}): "
            raise JobFailed(f"{needed}pip install 'batchpredict[train]'.") from error

        return suggested(self.space, self.spec.effective_goal, known, self._seed)


def _check_grid(spec: HyperparameterSpec) -> None:
    """ml v1, Algorithm: "To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE." """
    violations = [
        Violation(
            f"training_input.hyperparameters.params[{index}].type",
            "Must be INTEGER, CATEGORICAL or DISCRETE when algorithm is GRID_SEARCH.",
        )
        for index, param in enumerate(spec.params)
        if param.type is ParameterType.DOUBLE
    ]
    if violations:
        raise InvalidJob(violations)


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
