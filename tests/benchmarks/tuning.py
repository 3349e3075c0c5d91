"""How near to the minimum the search for hyperparameters comes in 20 and 40 trials, and what a suggestion costs.

    python tests/benchmarks/tuning.py [--seeds 20] [--functions branin,mixed] [--modes MODE,…] [--runs FILE]

The default search, TPE alone and random search look for the minimum of functions (`tuning_functions.py`): one trial
at a time; four at a time "in batches", where four end before the next four begin, for which the marks are; and four
or ten at a time as jobs run them: a trial takes between half and one and a half of a time unit, and when one ends
the next begins. With `--runs` every single run is kept in a file, and those that are there are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from statistics import median

import numpy as np
from measure import ROOT
from report import Row, Table, Target, machine
from tuning_functions import FUNCTIONS, Function

sys.path.insert(0, ROOT)

from batchpredict.job import HyperparameterSpec
from batchpredict.training.tuning import Metric, Study, Trial, TrialState, Values

TRIALS = 40
HALF = 20
# What the marks are for.
MARKED = "4 in batches"
MODES = ("1", MARKED, "4", "10")
SUGGESTION_SECONDS = {40: 0.2, 500: 1.0}
_ENGINES = ("default", "TPE", "random")


@dataclass(frozen=True)
class Run:
    """One search: the gaps to the minimum after half of its trials and after all, and seconds a suggestion."""

    engine: str
    function: str
    mode: str
    seed: int
    half: float
    whole: float
    seconds: float

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.engine, self.function, self.mode, self.seed


class Tpe:
    """TPE of Optuna as it comes, with each parameter as Optuna has it."""

    def __init__(self, study: Study, seed: int) -> None:
        self._study, self._seed = study, seed

    def ask(self, trials: Sequence[Trial]) -> Values:
        import optuna

        from batchpredict.training.tuning.distributions import distributions, to_params, to_values

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = self._study.space
        terms = distributions(space)
        found = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self._seed * 1000 + len(trials)))
        for trial in trials:
            state = optuna.trial.TrialState.COMPLETE if trial.metrics else optuna.trial.TrialState.RUNNING
            params = to_params(space, trial.values)
            found.add_trial(
                optuna.trial.create_trial(state=state, value=trial.result, params=params, distributions=terms)
            )
        return to_values(space, found.ask(terms).params)


def asker(engine: str, function: Function, seed: int) -> Study | Tpe:
    fields = {"algorithm": "RANDOM_SEARCH"} if engine == "random" else {}
    job = HyperparameterSpec.model_validate({"params": list(function.params), "goal": "MINIMIZE", **fields})
    study = Study(job, seed)
    return Tpe(study, seed) if engine == "TPE" else study


def searched(engine: str, function: Function, mode: str, seed: int) -> Run:
    """One search, its trials as many at a time as `mode` begins with."""
    parallel, batches = int(mode.split()[0]), mode.endswith("batches")
    asked = asker(engine, function, seed)
    chance = np.random.default_rng(seed)
    trials: dict[int, Trial] = {}
    ends: dict[int, float] = {}
    gaps: list[float] = []
    clock = seconds = 0.0
    while len(gaps) < TRIALS:
        room = parallel - len(ends) if not (batches and ends) else 0
        for _ in range(min(room, TRIALS - len(trials))):
            number = len(trials) + 1
            began = time.perf_counter()
            values = asked.ask(list(trials.values()))
            seconds += time.perf_counter() - began
            trials[number] = Trial(number, values)
            ends[number] = clock + chance.uniform(0.5, 1.5)
        number = min(ends, key=lambda each: ends[each])
        clock = ends.pop(number)
        value = function.at(trials[number].values)
        gaps.append(value - function.least)
        told = value + function.noise * chance.standard_normal()
        trials[number] = Trial(number, trials[number].values, TrialState.COMPLETED, (Metric(1, float(told)),))
    return Run(engine, function.name, mode, seed, min(gaps[:HALF]), min(gaps), seconds / TRIALS)


def _searched(key: tuple[str, str, str, int]) -> Run:
    engine, name, mode, seed = key
    return searched(engine, _named(name), mode, seed)


def _named(name: str) -> Function:
    return next(function for function in FUNCTIONS if function.name == name)


def runs(names: Sequence[str], mode: str, seeds: int, kept: str | None) -> Iterator[Run]:
    """All runs that are asked for, those that are kept first."""
    wanted = [(engine, name, mode, seed) for engine in _ENGINES for name in names for seed in range(seeds)]
    known: dict[tuple[str, str, str, int], Run] = {}
    if kept is not None and os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            known = {run.key: run for run in (Run(**json.loads(line)) for line in file)}
    yield from (known[key] for key in wanted if key in known)
    # egobox has threads of its own, and they do not survive a fork.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for run in pool.map(_searched, [key for key in wanted if key not in known]):
            if kept is not None:
                with open(kept, "a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(run)) + "\n")
            yield run


def quality(found: Sequence[Run], mode: str) -> Table:
    """The median gaps of the default search, against its mark, or against TPE where there is none."""
    table = Table(f"Tuning, trials at a time: {mode}; median gap after {HALF} / {TRIALS} trials")
    for function in FUNCTIONS:
        gaps: dict[str, tuple[float, float]] = {}
        for engine in _ENGINES:
            of = [run for run in found if (run.engine, run.function) == (engine, function.name)]
            if of:
                gaps[engine] = median(run.half for run in of), median(run.whole for run in of)
        if "default" not in gaps:
            continue
        bound = function.mark if mode == MARKED and function.mark else gaps["TPE"][1]
        against = ", ".join(f"{engine} {_pair(gaps[engine])}" for engine in ("TPE", "random"))
        ratio = gaps["default"][1] / bound
        table.rows.append(Row(function.name, _pair(gaps["default"]), against, ratio, Target(1.0, at_least=False)))
    seconds = median([run.seconds for run in found if run.engine == "default"])
    table.notes.append(f"the ratio is to the mark where there is one, else to TPE; {seconds:.3f} s a suggestion")
    return table


def _pair(gaps: tuple[float, float]) -> str:
    return f"{gaps[0]:.3g} / {gaps[1]:.3g}"


def suggestions() -> Table:
    """Seconds of a suggestion when so many trials are there, four of them pending; the mean over both halves."""
    table = Table("Tuning: seconds a suggestion")
    for function in (_named("hartmann6"), _named("mixed")):
        study = asker("random", function, 1)
        trials: list[Trial] = []
        for number in range(1, max(SUGGESTION_SECONDS) + 1):
            values = study.ask(trials)
            trials.append(Trial(number, values, TrialState.COMPLETED, (Metric(1, function.at(values)),)))
        for count, bound in SUGGESTION_SECONDS.items():
            seconds = []
            for last in range(count - 6, count):
                known = [*trials[: last - 4], *(Trial(one.number, one.values) for one in trials[last - 4 : last])]
                asked = asker("default", function, 1)
                began = time.perf_counter()
                asked.ask(known)
                seconds.append(time.perf_counter() - began)
            mean = sum(seconds) / len(seconds)
            row = Row(f"{function.name}, {count} trials", f"{mean:.3f} s", f"{bound} s", mean / bound)
            table.rows.append(Row(row.what, row.figure, row.compared, row.ratio, Target(1.0, at_least=False)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--functions", default=",".join(function.name for function in FUNCTIONS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--runs", help="a file for the single runs")
    options = parser.parse_args()
    # The pool has a process a core; threads within each would only be in each other's way.
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    print(machine(os.cpu_count() or 1), "\n", flush=True)
    print(suggestions().markdown(), flush=True)
    for mode in options.modes.split(","):
        found = list(runs(options.functions.split(","), mode, options.seeds, options.runs))
        print(quality(found, mode).markdown(), flush=True)


if __name__ == "__main__":
    main()
