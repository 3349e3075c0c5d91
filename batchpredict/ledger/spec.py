"""A prediction job with every default filled in: what the planner, the workers and the publisher are told.

The Job resource echoes what its user sent and so knows no defaults; here every field has its value. It travels as
JSON, to worker processes and inside Beam transforms.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.formats import InputFormat, OutputFormat, input_format, output_format
from batchpredict.job import Job, PredictionInput

# Part of every fingerprint: raise it when the same inputs would be cut, scored or written in another way.
FORMAT_VERSION = 1


_MACHINES = ("region", "worker_type", "accelerator", "accelerator_count")
# Which records these are is hashed itself, and no job that scores all of its inputs knows these fields.
_SELECTION = ("only_errors_of", "merge")


@dataclass(frozen=True)
class PredictionSpec:
    """What to score, how, and where to.

    Attributes:
      inputs: patterns of input files, in the order in which their files are scored.
      data_format: TEXT, TF_RECORD, TF_RECORD_GZIP or PARQUET. (JSON is read as TEXT.)
      output_path: folder of the results.
      output_format: JSON, CSV or PARQUET.
      model_uri: folder of the SavedModel.
      signature_name: the signature asked for; None for the default rule.
      batch_size: rows of one model call.
      max_workers: most worker processes at a time; None to leave it to the runner.
      key_field, included_fields, excluded_fields: which fields of an instance go past the model.
      max_errors: the error budget as its user wrote it; None for no limit.
      max_record_bytes: a longer record is skipped and counted as an error.
      split_bytes: size of a split; None to choose it from the inputs.
      region: where the job is to run.
      worker_type: machine type of the workers; None to leave it to the runner.
      accelerator: type of the accelerators of a worker, as the job has it; None for none.
      accelerator_count: how many of them; 0 for none.
      input_list: URL of a file that names the input files, in the place of what the patterns match now: a line for
        each, the JSON array of its URL, size, version and, if it is stored encoded, encoding. "" for none.
      only_errors_of: output folder of a finished job, whose failed records alone are scored; "" to score all
        records of the inputs.
      merge: the results complete those of that job, and are not written by themselves.
    """

    inputs: tuple[str, ...]
    data_format: str
    output_path: str
    output_format: str
    model_uri: str
    signature_name: str | None
    batch_size: int
    max_workers: int | None
    key_field: str | None
    included_fields: tuple[str, ...]
    excluded_fields: tuple[str, ...]
    max_errors: str | None
    max_record_bytes: int
    split_bytes: int | None
    region: str = ""
    worker_type: str | None = None
    accelerator: str | None = None
    accelerator_count: int = 0
    input_list: str = ""
    only_errors_of: str = ""
    merge: bool = False

    @classmethod
    def of(cls, job: Job) -> PredictionSpec:
        """The resolved form of a job's predictionInput.

        Raises:
          InvalidJob: not a prediction job, or its model is named by a registry that there is none of here.
        """
        source = job.prediction_input
        if source is None:
            raise InvalidJob([Violation("job.prediction_input", "Required: this is not a prediction job.")])
        if not source.uri:
            raise _no_registry(source)
        config = source.effective_instance_config
        hardware = source.accelerator
        return cls(
            inputs=tuple(source.input_paths),
            data_format=input_format(source.data_format.value).name,
            output_path=source.output_path,
            output_format=source.effective_output_data_format.value,
            model_uri=source.uri,
            signature_name=source.signature_name or None,
            batch_size=source.effective_batch_size,
            max_workers=source.max_worker_count,
            key_field=config.key_field or None,
            included_fields=config.included_fields,
            excluded_fields=config.excluded_fields,
            max_errors=None if source.max_errors is None else str(source.max_errors),
            max_record_bytes=source.effective_max_record_bytes,
            split_bytes=source.split_bytes,
            region=source.region,
            worker_type=source.worker_type or None,
            accelerator=None if hardware is None else hardware.type,
            accelerator_count=0 if hardware is None else 1 if hardware.count is None else hardware.count,
        )

    @property
    def input(self) -> InputFormat:
        """The format of the input files."""
        return input_format(self.data_format)

    @property
    def output(self) -> OutputFormat:
        """The format of the results."""
        return output_format(self.output_format)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PredictionSpec:
        """What `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        fields: dict[str, Any] = json.loads(text)
        for name in ("inputs", "included_fields", "excluded_fields"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    @property
    def beside(self) -> tuple[str, ...]:
        """The names of what is said of the place of its record in each result."""
        if not self.only_errors_of or self.merge:
            return ()
        # Rows of a row group have its byte, and are told apart by their index.
        return ("source", "offset") if self.input.streamed else ("source", "offset", "index")

    def options(self) -> dict[str, Any]:
        """Everything that shapes the results; the machines and how many errors may be do not."""
        # Where a list of the files is kept says nothing of them; they are in the fingerprint themselves.
        left_out = {"inputs", "input_list", "output_path", "model_uri", "max_workers", "max_errors"}
        left_out |= {*_MACHINES, *_SELECTION}
        options = {name: value for name, value in asdict(self).items() if name not in left_out}
        if self.key_field or self.included_fields or self.excluded_fields:
            # At first these fields were decoded and encoded again. One result must not hold both.
            options["carried_fields"] = "as they came"
        if self.only_errors_of:
            options["scope"] = "errors, merged" if self.merge else "errors"
        return options


def _no_registry(source: PredictionInput) -> InvalidJob:
    field = "model_name" if source.model_name else "version_name"
    text = "There is no model registry here to look this name up in; give the model's folder as uri instead."
    return InvalidJob([Violation(f"prediction_input.{field}", text)])
