"""PredictionInput and PredictionOutput.

Source: projects-jobs.txt, the 2017 resource. Additive fields under the names of later revisions:
signatureName and outputDataFormat (ml v1 discovery document), instanceConfig (Vertex AI BatchPredictionJob).
workerType (a machine type) and accelerator, both private to gcloud then.
Additive and ours: maxErrors, maxRecordBytes, splitBytes, and the PARQUET format.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, PlainSerializer, PlainValidator

from batchpredict.errors import InvalidName
from batchpredict.job.budget import UNLIMITED, ErrorBudget
from batchpredict.job.hardware import AcceleratorConfig
from batchpredict.job.scalars import offering, write_text
from batchpredict.job.wire import (
    Count64,
    Double,
    Echoed,
    Findings,
    Item,
    NonBlank,
    Positive64,
    Wire,
    WireEnum,
    refuse,
    rule,
)
from batchpredict.resources import ModelName, VersionName

DEFAULT_BATCH_SIZE = 64  # projects-jobs.txt, batchSize
DEFAULT_MAX_WORKER_COUNT = 10  # projects-jobs.txt, maxWorkerCount
# Ours: the service knew no limit, and one line without an end could take a worker's memory.
DEFAULT_MAX_RECORD_BYTES = 64 * 2**20


class DataFormat(WireEnum):
    """The format of input or of output files. TEXT and JSON are one: a JSON value or plain text a line."""

    DATA_FORMAT_UNSPECIFIED = "DATA_FORMAT_UNSPECIFIED"
    JSON = "JSON"
    TEXT = "TEXT"
    TF_RECORD = "TF_RECORD"
    TF_RECORD_GZIP = "TF_RECORD_GZIP"
    CSV = "CSV"
    PARQUET = "PARQUET"


_INPUTS = ("JSON", "TEXT", "TF_RECORD", "TF_RECORD_GZIP", "PARQUET")
_OUTPUTS = ("JSON", "CSV", "PARQUET")


def _for_input(value: DataFormat) -> DataFormat:
    if value.value not in _INPUTS:
        more = " A CSV file becomes Parquet by pyarrow.csv.read_csv." if value is DataFormat.CSV else ""
        raise refuse(f"{value} is not a format of input files; expected one of {', '.join(_INPUTS)}.{more}")
    return value


def _for_output(value: DataFormat) -> DataFormat:
    # Unspecified is the zero of the proto's enum and reads as unset.
    if value.value not in (*_OUTPUTS, "DATA_FORMAT_UNSPECIFIED"):
        raise refuse(f"{value} is not a format of output files; expected one of {', '.join(_OUTPUTS)}.")
    return value


_Kind = TypeVar("_Kind", ModelName, VersionName)


def _named(kind: type[_Kind], text: str) -> str:
    try:
        return str(kind.parse(text)) if text else text
    except InvalidName as error:
        raise refuse(str(error)) from None


def _model_name(text: str) -> str:
    return _named(ModelName, text)


def _version_name(text: str) -> str:
    return _named(VersionName, text)


_Input = Annotated[DataFormat, offering(*_INPUTS), AfterValidator(_for_input)]
_Output = Annotated[DataFormat, offering(*_OUTPUTS), AfterValidator(_for_output)]
_Budget = Annotated[
    ErrorBudget,
    PlainValidator(ErrorBudget.read),
    PlainSerializer(write_text, return_type=str, when_used="json"),
]


def _some_paths(paths: tuple[str, ...]) -> tuple[str, ...]:
    if not paths:
        raise refuse("At least one path is required.")
    return paths


class InstanceConfig(Wire):
    """What of an instance goes to the model, and what only goes along to the result.

    `key_field` is written beside each prediction and kept from the model. `included_fields` alone, or all but
    `excluded_fields`, are what the model sees.
    """

    key_field: str | None = None
    included_fields: tuple[NonBlank, ...] = ()
    excluded_fields: tuple[NonBlank, ...] = ()

    @rule("included_fields", "excluded_fields")
    def _one_list(self) -> Findings:
        if self.included_fields and self.excluded_fields:
            yield ("excluded_fields",), "At most one of included_fields and excluded_fields can be set."

    @rule("key_field", "included_fields")
    def _key_not_included(self) -> Findings:
        if self.key_field and self.key_field in self.included_fields:
            yield ("key_field",), f'"{self.key_field}" cannot also be one of included_fields.'

    @rule("key_field", "excluded_fields")
    def _key_not_excluded(self) -> Findings:
        if self.key_field and self.key_field in self.excluded_fields:
            yield ("key_field",), f'"{self.key_field}" cannot also be one of excluded_fields.'


class PredictionInput(Echoed):
    """What to score, with what, and where to. `None` is unset; `effective_…` knows the defaults."""

    data_format: _Input
    input_paths: Annotated[tuple[Item, ...], AfterValidator(_some_paths)]
    output_path: NonBlank
    max_worker_count: Positive64 | None = None
    region: NonBlank
    runtime_version: str | None = None
    batch_size: Positive64 | None = None
    # Union field model_version
    model_name: Annotated[str, AfterValidator(_model_name)] | None = None
    version_name: Annotated[str, AfterValidator(_version_name)] | None = None
    uri: str | None = None

    signature_name: str | None = None
    output_data_format: _Output | None = None
    instance_config: InstanceConfig | None = None
    max_errors: _Budget | None = None
    max_record_bytes: Positive64 | None = None
    split_bytes: Positive64 | None = None
    worker_type: str | None = None
    accelerator: AcceleratorConfig | None = None

    @rule("model_name", "version_name", "uri")
    def _one_model(self) -> Findings:
        given = [name for name in ("model_name", "version_name", "uri") if (getattr(self, name) or "").strip()]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            yield (), f"Exactly one of model_name, version_name and uri is required; found {found}."

    @rule("accelerator")
    def _which_accelerator(self) -> Findings:
        if self.accelerator is not None and not (self.accelerator.type or "").strip():
            yield ("accelerator", "type"), "This field is required."

    @rule("output_data_format", "instance_config")
    def _columns_known_in_advance(self) -> Findings:
        tabular = self.effective_output_data_format in (DataFormat.CSV, DataFormat.PARQUET)
        if tabular and self.instance_config and self.instance_config.included_fields:
            yield (
                ("instance_config", "included_fields"),
                f"Cannot be combined with output_data_format {self.output_data_format}: the columns"
                " of the results would not be known before the instances are read."
                " Use JSON output or excluded_fields.",
            )

    @property
    def effective_batch_size(self) -> int:
        """Records per call of the model."""
        return self.batch_size or DEFAULT_BATCH_SIZE

    @property
    def effective_max_worker_count(self) -> int:
        return self.max_worker_count or DEFAULT_MAX_WORKER_COUNT

    @property
    def effective_output_data_format(self) -> DataFormat:
        """JSON, CSV or PARQUET."""
        if self.output_data_format in (None, DataFormat.DATA_FORMAT_UNSPECIFIED):
            return DataFormat.JSON
        return self.output_data_format

    @property
    def effective_instance_config(self) -> InstanceConfig:
        return self.instance_config or InstanceConfig()

    @property
    def effective_max_errors(self) -> ErrorBudget:
        return self.max_errors or UNLIMITED

    @property
    def effective_max_record_bytes(self) -> int:
        return self.max_record_bytes or DEFAULT_MAX_RECORD_BYTES


class PredictionOutput(Wire):
    """Results of a prediction job; counts are of instances."""

    output_path: str | None = None
    prediction_count: Count64 | None = None
    error_count: Count64 | None = None
    node_hours: Double | None = None
