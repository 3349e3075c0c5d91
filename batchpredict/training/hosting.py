"""A slot on some machine, from the moment it is offered until the job is over.

Of a job without trials a slot takes roles of its one gang. Of a search it takes roles of any trial that runs and
has some that are free, else it begins another trial, else it waits: a host of a trial may be lost at any moment,
and its roles are free again then.
"""

from __future__ import annotations

import random
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from batchpredict.errors import JobFailed
from batchpredict.job import TrainingOutput
from batchpredict.training.cluster import Replica, Role
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.gang import Ending, Gang, Outcome, Rules
from batchpredict.training.launcher import ReplicaLauncher
from batchpredict.training.meeting import meeting_of
from batchpredict.training.outcome import job_output, search_output, why_failed
from batchpredict.training.prepare import earlier_trials
from batchpredict.training.search import Known, Trials, counted
from batchpredict.training.spec import TrainingSpec
from batchpredict.training.tuning import Study, Trial
from batchpredict.training.workplace import Workplace

Wanted = Callable[[], bool]

_HERE, _AWAY = Rules(), Rules(deadline=300.0)
_LOOK_SECONDS = 0.5
_TOO_LONG = "The job has run longer than scheduling.maxRunningTime allows: {:g} seconds."


class _Unheard(JobFailed):
    """The service does not answer this host, or refuses it: it may be one that others count as lost, or of a lease
    that is over, and has no say in what came of the job."""


def host(spec: TrainingSpec, folder: TrainingFolder, wanted: Wanted, *, away: bool) -> None:
    """Offer a slot to a job; returns when the job is over, or is not wanted any more.

    Args:
      away: this is one machine of many, and takes one role at a time; otherwise the whole job is hosted here.

    Raises:
      JobFailed: why the job has failed, whoever found that.
    """
    try:
        done = folder.done() or _hosted(spec, folder, wanted, away=away)
    except OSError as error:
        raise JobFailed(f"jobDir: '{spec.job_dir or folder.url}' cannot be used: {error}") from error
    if done is not None and "error" in done:
        raise JobFailed(str(done["error"]))


def _hosted(spec: TrainingSpec, folder: TrainingFolder, wanted: Wanted, *, away: bool) -> dict[str, object] | None:
    """What came of the job; None if it is not wanted any more."""
    with Workplace.of(folder, shared=away) as workplace:
        slot = _Slot(spec, folder, wanted, workplace, away=away)
        try:
            slot.let_others_end()
            return slot.search() if spec.tuning is not None else slot.train()
        except _Unheard:
            raise
        except JobFailed as error:
            try:
                return folder.finish({"error": str(error)})
            except OSError:
                # A disk that is full takes no reason either.
                raise error from None


class _Slot:
    """One offer, with what it needs for whatever role it takes."""

    def __init__(
        self, spec: TrainingSpec, folder: TrainingFolder, wanted: Wanted, workplace: Workplace, *, away: bool
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._workplace = workplace
        self._away = away
        self._asked = wanted
        self._stopped = self._failed = False
        self._begun = folder.begin(time.time(), spec.meeting_place)
        self._until = None if spec.max_seconds is None else self._begun.time + spec.max_seconds

    def let_others_end(self) -> None:
        """Wait for replicas that meet elsewhere, so that nobody here hears of them: those of a job that has begun
        this attempt, was lost, and is gone on with under another id or by another way in."""
        if self._begun.meeting_place == self._spec.meeting_place:
            return
        self._workplace.logs.add("service", "", "Waiting until nothing of an earlier run can be left.")
        until = time.monotonic() + _HERE.quiet
        while time.monotonic() < until and self._wanted():
            time.sleep(_LOOK_SECONDS)

    def train(self) -> dict[str, object] | None:
        """Host roles of the one gang; what came of the job, None if it is not wanted any more."""
        launcher = self._launcher()
        outcome = self._gang(self._folder.gang, launcher)
        if outcome is not None and outcome.ending is Ending.SUCCEEDED:
            return self._result(lambda: job_output(self._spec, self._folder))
        return self._ended(why_failed(outcome) if outcome is not None else "", launcher.silent())

    def search(self) -> dict[str, object] | None:
        """Host roles of trials; what came of the job, None if it is not wanted any more."""
        tuning = self._spec.tuning
        assert tuning is not None
        study = Study(tuning, _seed(self._folder), earlier_trials(self._spec))
        if self._away:
            self._search(study)
        else:
            with ThreadPoolExecutor(self._spec.parallel, thread_name_prefix="trial") as pool:
                slots = [pool.submit(self._search, study) for _ in range(self._spec.parallel)]
                try:
                    for slot in slots:
                        slot.result()
                except BaseException:
                    self._failed = True
                    raise
        return self._ended("")

    def _search(self, study: Study) -> None:
        trials = Trials(self._folder)
        while self._wanted() and self._folder.done() is None:
            known = trials.load()
            outlook = study.outlook(counted(known, self._folder.attempt))
            if outlook.failure is not None:
                self._folder.finish({"error": _because(outlook.failure, known)})
            elif outlook.over:
                self._result(partial(search_output, self._spec, self._folder, known))
            elif any(self._host_trial(one, stay=False) for one in known if one.live):
                continue
            elif outlook.begin:
                self._begin_trial(study, known)
            else:
                # A host of a trial may be lost: its place is then this one's.
                live = [one for one in known if one.live]
                self._host_trial(random.choice(live), stay=True)

    def _begin_trial(self, study: Study, known: Sequence[Known]) -> None:
        number = len(known) + 1
        values = study.ask([one.trial for one in known])
        # Of two that begin it, each has its own word: so whoever won knows it.
        document = {
            "values": values,
            "time": time.time(),
            "attempt": self._folder.attempt,
            "by": uuid.uuid4().hex,
        }
        self._folder.trial(number).begin(document)

    def _host_trial(self, one: Known, *, stay: bool) -> bool:
        """Host a role of a trial, and say what came of it; False if there was none to host.

        Args:
          stay: wait until one is free, or the trial has ended.
        """
        # It reads event files, and imports what that takes: no need for a job without trials.
        from batchpredict.training.watching import TrialWatch

        trial = self._folder.trial(one.trial.number)
        watch = TrialWatch(self._spec, self._folder, one, self._workplace)
        launcher = self._launcher(one.trial, watch.hypertune)
        with watch.watching(lambda: launcher.hosts(Role.MASTER)):
            outcome = self._gang(trial.gang, launcher, lambda: not watch.hopeless, stay=stay)
        if outcome is None:
            return False
        watch.conclude(outcome, stopped=not self._wanted())
        return True

    def _launcher(self, trial: Trial | None = None, hypertune: str = "") -> ReplicaLauncher:
        return ReplicaLauncher(
            self._spec,
            self._workplace,
            self._folder.url,
            alone=not self._away,
            trial=trial,
            hypertune=hypertune,
        )

    def _gang(
        self, url: str, launcher: ReplicaLauncher, also: Wanted = lambda: True, *, stay: bool = True
    ) -> Outcome | None:
        gang = Gang(
            meeting_of(self._spec)(url),
            self._spec.cluster,
            host_id=socket.gethostname(),
            room=1 if self._away else None,
            launcher=launcher,
            stay=stay,
            rules=_AWAY if self._away else _HERE,
            log=lambda text: self._workplace.logs.add("service", launcher.trial, text),
        )
        try:
            return gang.run(lambda: self._wanted() and also())
        except OSError as error:
            raise self._unusable(url, error) from error
        finally:
            launcher.close()

    def _result(self, output: Callable[[], TrainingOutput]) -> dict[str, object]:
        try:
            found = output()
        except OSError as error:
            raise self._unusable(self._folder.url, error) from error
        return self._folder.finish({"output": found.to_wire()})

    def _unusable(self, url: str, error: OSError) -> JobFailed:
        """Why replicas cannot meet."""
        if self._spec.service is not None:
            return _Unheard(str(error))
        return JobFailed(f"jobDir: '{url}' cannot be used: {error}")

    def _wanted(self) -> bool:
        if not self._stopped and not self._asked():
            # Said before the replicas are ended: who begins the job again begins with other replicas.
            self._folder.stop()
            self._stopped = True
        return not (self._stopped or self._failed or self._too_long())

    def _too_long(self) -> bool:
        return self._until is not None and time.time() > self._until

    def _ended(self, reason: str, silent: Sequence[Replica] = ()) -> dict[str, object] | None:
        if not reason and self._too_long():
            words = ", ".join(replica.words for replica in silent)
            silence = f" Since the start nothing was written by {words}." if words else ""
            reason = _TOO_LONG.format(self._spec.max_seconds) + silence
        return self._folder.finish({"error": reason}) if reason else self._folder.done()


def _because(failure: str, known: Sequence[Known]) -> str:
    """Why a search has failed, with the reason of the last trial that did."""
    reasons = [f"Trial {one.trial.number}: {one.reason}" for one in known if one.reason]
    return " ".join([failure, *reasons[-1:]])


def _seed(folder: TrainingFolder) -> int:
    """The same for all hosts of a job."""
    return int(folder.url.rpartition("/")[2][:8], 16)
