"""What pages show of a training job: its replicas, and the trials of a search. Pure functions of the stored job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from batchpredict.job import DEFAULT_METRIC_TAG, TERMINAL
from batchpredict.service.console.values import count, mapping, mappings, moment, number, real, text
from batchpredict.service.console.views import training_input
from batchpredict.service.store.interface import StoredJob

MOST_TRIALS = 500
"""Trials of a page. The output has them best first, so those left out are the worst."""

MOST_PARAMETERS = 24
"""Parameters that have a column and a chart."""

MOST_REPLICAS = 200
"""Replicas of a page: the largest tier has 31, and trials that run side by side have so many each."""

_LOGARITHMIC = "UNIT_LOG_SCALE"
_ENDED = "ended"


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter as the search was asked for it.

    Attributes:
      kind: DOUBLE, INTEGER, DISCRETE or CATEGORICAL.
      low, high: of what is feasible; None where nothing says so.
      logarithmic: values are told apart by their ratio.
    """

    name: str
    kind: str = "DOUBLE"
    low: float | None = None
    high: float | None = None
    categories: Sequence[str] = ()
    logarithmic: bool = False


@dataclass(frozen=True)
class Replica:
    """A replica of a job, or of a trial that runs.

    Attributes:
      trial: whose it is; "" where there are no trials, or where it is not known.
      task: its name in the log; "" where several replicas may have that name.
      status: exit status of its last end; None before.
    """

    name: str
    trial: str
    task: str
    state: str
    restarts: int
    host: str
    status: int | None


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
      task: what its lines in the log begin with.
      values: of the hyperparameters, by name, as they stood on the command line.
      objective, step: its final metric; None if it has none.
      ran: None if its times are not known.
    """

    number: str
    task: str
    state: str
    values: Mapping[str, str]
    objective: float | None
    step: int | None
    ended: datetime | None
    ran: timedelta | None
    stopped_early: bool


@dataclass(frozen=True)
class TrainingView:
    """A training job as a page shows it.

    Attributes:
      up, total: replicas that run, and all; None before the first report.
      restarts: of the replicas that there are; None before the first report.
      search: it has trials; what follows is of them.
      done, wanted: trials that have ended, and all.
      metric: tag of the objective; maximize: whether more of it is better.
      best: objective of the best trial so far.
      trials: those that have ended, best first, the first `MOST_TRIALS` of them.
      parameters: the first `MOST_PARAMETERS` of them.
      left_out: trials that are not shown.
    """

    up: int | None
    total: int | None
    restarts: int | None
    ml_units: float | None
    replicas: Sequence[Replica]
    module: str
    job_dir: str
    scale_tier: str
    search: bool
    done: int = 0
    wanted: int | None = None
    metric: str = ""
    maximize: bool = True
    trials: Sequence[Trial] = ()
    parameters: Sequence[Parameter] = ()
    left_out: int = 0
    parameters_left_out: int = 0

    @property
    def best(self) -> float | None:
        found = [trial.objective for trial in self.trials if trial.objective is not None]
        return (max if self.maximize else min)(found, default=None)


def training_view(job: StoredJob) -> TrainingView | None:
    """The view of a training job; None for another one."""
    asked = training_input(job.new.document)
    if not asked:
        return None
    output, progress = job.output or {}, job.progress or {}
    spec = mapping(asked, "hyperparameters")
    over = job.standing.state in TERMINAL
    replicas = [_replica(one, search=bool(spec)) for one in mappings(progress, "replicas")]
    if over:
        # The last report may be from before the end, and nothing runs after it.
        replicas = [] if spec else [replace(one, state=_ENDED) for one in replicas]
    view = TrainingView(
        up=0 if over and progress else count(progress.get("workers")),
        total=len(replicas) if progress else None,
        restarts=count(progress.get("restarts")),
        ml_units=number(output.get("consumedMLUnits")),
        replicas=replicas[:MOST_REPLICAS],
        module=text(asked, "pythonModule", "python_module"),
        job_dir=text(asked, "jobDir", "job_dir"),
        scale_tier=text(asked, "scaleTier", "scale_tier"),
        search=bool(spec),
    )
    return _with_trials(view, spec, output, progress) if spec else view


def _with_trials(
    view: TrainingView, spec: Mapping[str, Any], output: Mapping[str, Any], progress: Mapping[str, Any]
) -> TrainingView:
    trials = mappings(output, "trials")
    parameters = [_parameter(one) for one in mappings(spec, "params")]
    wanted = spec.get("maxTrials") or spec.get("max_trials")
    return replace(
        view,
        # Of a job that has ended the output is newer than the last report.
        done=max(count(progress.get("done")) or 0, len(trials)),
        wanted=count(progress.get("total")) or count(wanted) or 1,
        metric=text(output, "hyperparameterMetricTag")
        or text(spec, "hyperparameterMetricTag", "hyperparameter_metric_tag")
        or DEFAULT_METRIC_TAG,
        maximize=spec.get("goal") != "MINIMIZE",
        trials=[_trial(one) for one in trials[:MOST_TRIALS]],
        parameters=parameters[:MOST_PARAMETERS],
        left_out=max(len(trials) - MOST_TRIALS, 0),
        parameters_left_out=max(len(parameters) - MOST_PARAMETERS, 0),
    )


def _parameter(source: Mapping[str, Any]) -> Parameter:
    points = source.get("discreteValues") or source.get("discrete_values") or ()
    values = [found for found in map(real, points) if found is not None] if isinstance(points, Sequence) else []
    low, high = (real(source.get(f"{name}Value", source.get(f"{name}_value"))) for name in ("min", "max"))
    categories = source.get("categoricalValues") or source.get("categorical_values") or ()
    return Parameter(
        text(source, "parameterName", "parameter_name"),
        text(source, "type"),
        min(values, default=low),
        max(values, default=high),
        [str(one) for one in categories] if isinstance(categories, Sequence) else [],
        text(source, "scaleType", "scale_type") == _LOGARITHMIC,
    )


def _replica(source: Mapping[str, Any], *, search: bool) -> Replica:
    task = text(source, "name")
    trial, slash, name = task.rpartition("/")
    return Replica(
        name=name,
        trial=trial.removeprefix("trial-"),
        # In a search each trial has a replica of such a name: only with its trial it says which.
        task=task if slash or not search else "",
        state=text(source, "state"),
        restarts=count(source.get("restarts")) or 0,
        host=text(source, "host"),
        status=count(source.get("status")),
    )


def _trial(source: Mapping[str, Any]) -> Trial:
    final = mapping(source, "finalMetric")
    trial_id = text(source, "trialId")
    started, ended = moment(source.get("startTime")), moment(source.get("endTime"))
    return Trial(
        number=trial_id,
        task=f"trial-{trial_id}",
        state=text(source, "state"),
        values={name: str(value) for name, value in mapping(source, "hyperparameters").items()},
        objective=real(final.get("objectiveValue")),
        step=count(final.get("trainingStep")),
        ended=ended,
        ran=max(ended - started, timedelta(0)) if started and ended else None,
        stopped_early=source.get("isTrialStoppedEarly") is True,
    )
