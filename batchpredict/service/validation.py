"""What can be known to be wrong with a job before it is queued: its user mends it now and not after it has failed.

What is found depends on the moment: files may come and go while the job waits, and the job itself looks again.
Only names, sizes and a model's list of signatures are read here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchpredict import storage
from batchpredict.epochs import NewestVersion, refuse_inputs_in_output
from batchpredict.errors import (
    InvalidJob,
    InvalidName,
    ModelUnusable,
    NoInput,
    NoMatch,
    NotListed,
    OutputRefused,
    Violation,
    WrongFlag,
)
from batchpredict.job import Job, PredictionInput, Watch
from batchpredict.launch import training_work
from batchpredict.ledger import (
    PredictionSpec,
    make_plan,
    most_splits,
    occupancy,
    refuse_own_output,
)
from batchpredict.models import choose_signature, listed_signatures, model_digest
from batchpredict.resources import JobName
from batchpredict.service.access.interface import Access, Caller, Paths
from batchpredict.service.registry.pinning import URI, Pinned, resolve
from batchpredict.service.registry.sources import Links, look_at, refuse_links
from batchpredict.service.store.interface import Missing, Store
from batchpredict.service.turns import Turns

INPUTS = "prediction_input.input_paths"
OUTPUT = "prediction_input.output_path"
SIGNATURE = "prediction_input.signature_name"
PACKAGES = "training_input.package_uris"
JOB_DIR = "training_input.job_dir"
RESUMED = "training_input.hyperparameters.resume_previous_job_id"

_FILES = 1000
"""Of one pattern, whose bytes are counted to see how much there is to do."""

_OTHERS = (
    "holds the results of another job, or of other inputs, another model or other options. Choose another folder."
)


@dataclass(frozen=True)
class Checked:
    """A job that may be created.

    Attributes:
      pinned: what its model names and its paths mean now; see `store.interface.NewJob`.
      workers: worker processes that it reserves while it runs.
    """

    pinned: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1


class JobCheck:
    """Checks jobs that are to be created. Used from many threads.

    Args:
      store: where models are.
      access: who may use models of other projects.
      paths: where files may be read and written.
      user: whom job processes run as; "" for the user of this process, who can then be asked what it may write.
    """

    def __init__(self, store: Store, access: Access, paths: Paths, *, user: str = "") -> None:
        self._store = store
        self._access = access
        self._paths = paths
        self._user = user
        self._turns = Turns()

    def __call__(self, project: str, job: Job, caller: Caller) -> Checked:
        """Look for all that can be known to be wrong with a job.

        Args:
          project: that it is to be created in.
          job: as `Job.submitted` read it.
          caller: who creates it.

        Raises:
          InvalidJob: with the fields that are wrong, in snake_case.
          ResourceMissing, ResourceInUse: its model or version is not there, or not ready.
        """
        # A store is asked for a while, during which others may be asked as well.
        remote = any("://" in url for _, url in _named(job))
        with contextlib.nullcontext() if remote else self._turns.turn():
            return self._checked(project, job, caller)

    def _checked(self, project: str, job: Job, caller: Caller) -> Checked:
        """Does and raises what a call does."""
        places = self._places(job)
        if job.training_input is not None:
            return self._check_training(project, job, places, caller)
        pinned = (
            Pinned(places[URI])
            if URI in places
            else resolve(job, project, caller, store=self._store, access=self._access, paths=self._paths)
        )
        source = job.prediction_input
        assert source is not None
        self._check_model(source, pinned)
        total = self._check_inputs(places)
        self._check_output(_as_placed(job, source, pinned, places), places[OUTPUT], total)
        inputs = [path for name, path in places.items() if name.startswith(INPUTS)]
        placed = {"inputPaths": inputs, "outputPath": places[OUTPUT]}
        return Checked({**pinned.stored(), **placed}, _workers(source, places, total))

    def watch(self, project: str, watch: Watch, caller: Caller) -> dict[str, Any]:
        """Look for all that can be known to be wrong with a watch, whose files may be yet to come.

        Returns:
          Its paths as they are to be used: "inputPaths", "outputPath", and "uri" where it names one.

        Raises: as for jobs.
        """
        job = Job(job_id=watch.watch_id, prediction_input=watch.prediction_input)
        places = self._places(job)
        source = watch.prediction_input
        if URI not in places:
            resolved = resolve(job, project, caller, store=self._store, access=self._access, paths=self._paths)
            self._check_model(source, resolved)
        elif watch.newest_version:
            with _blaming():
                # A version may be a link.
                version = self._paths.check(NewestVersion(places[URI]).choose(), URI)
                self._check_model(source, Pinned(version))
        else:
            self._check_model(source, Pinned(places[URI]))
        inputs = {name: path for name, path in places.items() if name.startswith(INPUTS)}
        for name, pattern in inputs.items():
            _refuse_unlistable(name, pattern)
        try:
            refuse_inputs_in_output(places[OUTPUT], inputs.values())
        except WrongFlag:
            raise _wrong(
                INPUTS, "A pattern lies in the folder of output_path, of which no file is taken."
            ) from None
        self._refuse_unwritable(places[OUTPUT], OUTPUT)
        with _blaming():
            there = occupancy(places[OUTPUT])
        if there.used or there.owner is not None:
            text = f"'{places[OUTPUT]}' holds the results of a job. Choose a folder of its own."
            raise _wrong(OUTPUT, text)
        uri = {"uri": places[URI]} if URI in places else {}
        return {"inputPaths": list(inputs.values()), "outputPath": places[OUTPUT], **uri}

    def _places(self, job: Job) -> dict[str, str]:
        """Every path that a job names, by its field, as it is to be used. Raises InvalidJob, with all at fault."""
        places: dict[str, str] = {}
        wrong: list[Violation] = []
        for name, url in _named(job):
            try:
                places[name] = self._paths.check(url, name)
            except InvalidJob as error:
                wrong += error.violations
        if wrong:
            raise InvalidJob(wrong)
        return places

    def _check_training(self, project: str, job: Job, places: Mapping[str, str], caller: Caller) -> Checked:
        """Each replica that may be up at a time is a worker."""
        needs = training_work(job).needs
        packages = {name: url for name, url in places.items() if name.startswith(PACKAGES)}
        wrong = [
            Violation(name, f"There is no package '{url}'.") for name, url in packages.items() if _missing(url)
        ]
        if wrong:
            raise InvalidJob(wrong)
        pinned: dict[str, Any] = {"packageUris": list(packages.values())}
        if JOB_DIR in places:
            self._refuse_unwritable(places[JOB_DIR], JOB_DIR)
            pinned["jobDir"] = places[JOB_DIR]
        tuning = None if job.training_input is None else job.training_input.hyperparameters
        if tuning is not None and tuning.resume_previous_job_id:
            pinned["resumedFrom"] = self._resumed(project, tuning.resume_previous_job_id, caller)
        return Checked(pinned, needs.max_workers or 1)

    def _resumed(self, project: str, job_id: str, caller: Caller) -> str:
        """The jobDir of the job that a search resumes. Raises InvalidJob: the caller may not see such a job."""
        with contextlib.suppress(Missing, InvalidName):
            job = self._store.job(project, job_id)
            name = str(JobName(project, job_id))
            place = job.new.pinned.get("jobDir")
            if place and self._access.may(caller, "ml.jobs.get", name, owner=job.new.creator):
                return str(place)
        raise _wrong(RESUMED, f'There is no job "{job_id}" with a job_dir in this project.')

    def _check_model(self, source: PredictionInput, pinned: Pinned) -> None:
        asked = source.signature_name or None
        if pinned.version:
            _choose_known(pinned.details.get("signatures", {}), asked)
            return
        look_at(pinned.uri, URI)
        refuse_links(pinned.uri, self._paths, URI)
        try:
            names = listed_signatures(pinned.uri)
        except (ModelUnusable, OSError) as error:
            raise _wrong(URI, str(error)) from error
        if names is not None:
            _choose(names, asked)

    def _check_inputs(self, places: Mapping[str, str]) -> int | None:
        """Bytes of the inputs; None where there are more files than were looked at. Raises InvalidJob."""
        total: int | None = 0
        wrong = []
        links = Links(self._paths)
        for name, pattern in places.items():
            if not name.startswith(INPUTS):
                continue
            try:
                for count, file in enumerate(storage.expand(pattern), 1):
                    total = None if total is None or count > _FILES else total + file.size
                    if links.leads_out(file.url):
                        text = f"'{file.url}' is a link that leads out of the folders that jobs may read from."
                        wrong.append(Violation(name, text))
                        break
                    if count > _FILES and not storage.is_local(file.url):
                        # There are no links, and the rest of a long listing is the job's to read.
                        break
            except NoMatch as error:
                wrong.append(Violation(name, _sentence(str(error))))
        if wrong:
            raise InvalidJob(wrong)
        return total

    def _check_output(self, spec: PredictionSpec, folder: str, total: int | None) -> None:
        with _blaming():
            refuse_own_output(spec)
            there = occupancy(folder)
            if not there.used:
                self._refuse_unwritable(folder, OUTPUT)
            # Whose results they are takes a look at every input, which of many is the job's to do.
            elif there.owner is None or total is not None:
                with make_plan(spec, model_digest(spec.model_uri)) as draft:
                    if draft.plan.fingerprint != there.owner:
                        raise _wrong(OUTPUT, f"'{folder}' {_OTHERS}")

    def _refuse_unwritable(self, folder: str, field: str) -> None:
        """Refuse a folder of this machine that cannot be made or written.

        What a store allows is found out by writing only, which a question must not do.
        """
        if self._user or not storage.is_local(folder):
            return
        path = storage.local_path(folder)
        while not os.path.lexists(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        if not os.path.isdir(path):
            raise _wrong(field, f"'{folder}' cannot be written to: '{path}' is not a folder.")
        if not os.access(path, os.W_OK | os.X_OK):
            raise _wrong(field, f"'{folder}' cannot be written to: the service may not write to '{path}'.")


def _named(job: Job) -> Iterator[tuple[str, str]]:
    """(field, path) of everything that a job names, in the order of its fields."""
    if job.prediction_input is not None:
        source = job.prediction_input
        for index, path in enumerate(source.input_paths):
            yield f"{INPUTS}[{index}]", path
        yield OUTPUT, source.output_path
        if (source.uri or "").strip():
            yield URI, (source.uri or "").strip()
    if job.training_input is not None:
        if job.training_input.job_dir:
            yield JOB_DIR, job.training_input.job_dir
        for index, path in enumerate(job.training_input.package_uris or ()):
            yield f"{PACKAGES}[{index}]", path


def _refuse_unlistable(field: str, pattern: str) -> None:
    """One look whether anything can be listed; nothing need be there yet."""
    try:
        next(iter(storage.expand(pattern)), None)
    except NotListed as error:
        raise _wrong(field, _sentence(str(error))) from error
    except NoMatch:
        return


def _missing(url: str) -> bool:
    """Whether nothing is there; where nobody can tell, the job itself will."""
    try:
        return not storage.exists(url)
    except OSError:
        return False


def _as_placed(job: Job, source: PredictionInput, pinned: Pinned, places: Mapping[str, str]) -> PredictionSpec:
    """The job with its paths as they are to be used."""
    inputs = tuple(path for name, path in places.items() if name.startswith(INPUTS))
    changes = {
        "input_paths": inputs,
        "output_path": places[OUTPUT],
        "uri": pinned.uri,
        "model_name": None,
        "version_name": None,
    }
    return PredictionSpec.of(job.model_copy(update={"prediction_input": source.model_copy(update=changes)}))


def _choose(names: Sequence[str], asked: str | None) -> str:
    try:
        return choose_signature(names, asked)
    except ModelUnusable as error:
        raise _wrong(SIGNATURE, str(error)) from error


def _choose_known(signatures: Mapping[str, Mapping[str, object]], asked: str | None) -> None:
    """See that a signature of a version is there and can be used."""
    name = _choose(sorted(signatures), asked)
    known = signatures[name]
    if known.get("exampleLine") is None:
        remarks = known.get("remarks")
        why = f" {remarks[0]}." if isinstance(remarks, list) and remarks else " cannot be used for prediction."
        raise _wrong(SIGNATURE, f"Signature {name}{why}")


def _workers(source: PredictionInput, places: Mapping[str, str], total: int | None) -> int:
    """Worker processes that a job reserves: what it allows, but not more than can have something to do."""
    most = source.effective_max_worker_count
    if total is None:
        return most
    remote = not storage.is_local(places[f"{INPUTS}[0]"])
    return min(most, most_splits(total, source.split_bytes, remote=remote))


@contextlib.contextmanager
def _blaming() -> Iterator[None]:
    """Steps of a job that is planned: what would fail it then is said of the field that is to blame now."""
    try:
        yield
    except NoInput as error:
        raise _wrong(INPUTS, _sentence(str(error).removeprefix("inputPaths: "))) from error
    except OutputRefused as error:
        raise _wrong(OUTPUT, _sentence(str(error).removeprefix("outputPath: "))) from error
    except ModelUnusable as error:
        raise _wrong(URI, _sentence(str(error).removeprefix("uri: "))) from error


def _wrong(name: str, description: str) -> InvalidJob:
    return InvalidJob([Violation(name, description)])


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
