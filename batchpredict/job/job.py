"""The Job resource: one training or prediction job, what was asked for and what became of it.

Source: projects-jobs.txt; labels, etag and jobPosition are of later revisions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from batchpredict.job.prediction import PredictionInput, PredictionOutput
from batchpredict.job.reading import decode, load
from batchpredict.job.states import TERMINAL, State
from batchpredict.job.training import TrainingInput, TrainingOutput
from batchpredict.job.wire import Count64, Echoed, Findings, Timestamp, Wire, refuse, rule, to_camel
from batchpredict.resources import id_fault

OUTPUT_ONLY = (
    "create_time",
    "start_time",
    "end_time",
    "state",
    "error_message",
    "training_output",
    "prediction_output",
    "etag",
    "job_position",
)
"""What only the service writes. A create request may carry them, and they are ignored."""

_INPUTS = ("training_input", "prediction_input")


def _legal_id(text: str) -> str:
    fault = id_fault(text)
    if fault:
        raise refuse(fault)
    return text


class Job(Wire):
    """One job. Read one with `parse` or `submitted`; keyword construction does not check every rule."""

    job_id: Annotated[str, AfterValidator(_legal_id)]
    # Union field input
    training_input: TrainingInput | None = None
    prediction_input: PredictionInput | None = None
    create_time: Timestamp | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    state: State | None = None
    error_message: str | None = None
    # Union field output
    training_output: TrainingOutput | None = None
    prediction_output: PredictionOutput | None = None

    labels: dict[str, str] | None = None
    etag: str | None = None
    job_position: Count64 | None = None

    @classmethod
    def parse(cls, data: bytes | str | Mapping[str, Any]) -> Job:
        """Read a whole Job, output-only fields included: one that the service stored or answered.

        Raises:
            InvalidJob: with every violation, in the order of the document.
        """
        return cls._read(load(data))

    @classmethod
    def submitted(cls, data: bytes | str | Mapping[str, Any]) -> Job:
        """Read the Job of a create request: output-only fields are ignored unread, as the service did.

        Raises:
            InvalidJob: with every violation, in the order of the document.
        """
        known = cls.spellings()
        return cls._read({key: value for key, value in load(data).items() if known.get(key) not in OUTPUT_ONLY})

    @classmethod
    def _read(cls, document: dict[str, Any]) -> Job:
        job = decode(cls, document)
        for name in _INPUTS:
            asked: Echoed | None = getattr(job, name)
            if asked is not None:
                sent = document.get(to_camel(name)) or document.get(name)
                job = job.model_copy(update={name: asked.sent_as(sent or {})})
        return job

    @rule("training_input", "prediction_input")
    def _one_input(self) -> Findings:
        given = [name for name in _INPUTS if getattr(self, name) is not None]
        if len(given) != 1:
            found = "both" if given else "neither"
            yield (), f"Exactly one of training_input and prediction_input is required; found {found}."

    @rule("training_input", "prediction_input", "training_output", "prediction_output")
    def _output_of_the_input(self) -> Findings:
        if self.training_output is not None and self.training_input is None:
            yield ("training_output",), "Only a job with a training_input can have it."
        if self.prediction_output is not None and self.prediction_input is None:
            yield ("prediction_output",), "Only a job with a prediction_input can have it."

    @property
    def is_done(self) -> bool:
        """Whether the job is in a state that nothing follows."""
        return self.state in TERMINAL

    def replace(self, **changes: Any) -> Job:
        """A copy with some fields changed, their types checked; None unsets a field. The echo stays.

        Raises:
            pydantic.ValidationError: a field is unknown or a value is not of its type.
        """
        return type(self).model_validate({**dict(self), **changes})

    def to_wire(self) -> dict[str, Any]:
        """The job as JSON values. The input comes back exactly as it was sent, whatever its spelling."""
        written = super().to_wire()
        for name in _INPUTS:
            asked: Echoed | None = getattr(self, name)
            if asked is not None:
                written[to_camel(name)] = asked.echo()
        for name in ("training_output", "prediction_output"):
            result: Wire | None = getattr(self, name)
            if result is not None:
                written[to_camel(name)] = result.to_wire()
        return written

    def to_json(self) -> str:
        """`to_wire()` as JSON text."""
        return json.dumps(self.to_wire(), ensure_ascii=False, allow_nan=False)
