"""From the fields of a form to the Job that they mean, and from an error of that Job back to the field. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import load
from batchpredict.resources import MAX_ID_LENGTH
from batchpredict.service.rest import bodies


@dataclass(frozen=True)
class Field:
    """A field of the form.

    Attributes:
      name: of the form's field.
      wire: of the predictionInput's field, in camelCase; its parts with dots between.
      label, hint: for people.
      kind: "line", "lines" (an item a line), "number", or "choice".
      choices: of a choice: (value, label).
      required: whether the API wants it.
    """

    name: str
    wire: str
    label: str
    hint: str = ""
    kind: str = "line"
    choices: Sequence[tuple[str, str]] = ()
    required: bool = False

    @property
    def path(self) -> str:
        """How errors name it."""
        return re.sub("([A-Z])", lambda match: f"_{match[1].lower()}", self.wire)


_DEFAULT = ("", "default")

FIELDS = (
    Field(
        "input_paths",
        "inputPaths",
        "Input paths",
        "One a line: files, folders, or patterns such as gs://bucket/in-*.json",
        "lines",
        required=True,
    ),
    Field(
        "data_format",
        "dataFormat",
        "Format of the input",
        kind="choice",
        choices=[
            ("TEXT", "TEXT: a line is an instance"),
            ("JSON", "JSON: the same"),
            ("TF_RECORD", "TF_RECORD"),
            ("TF_RECORD_GZIP", "TF_RECORD_GZIP"),
            ("PARQUET", "PARQUET: a column is an input"),
        ],
        required=True,
    ),
    Field("output_path", "outputPath", "Output folder", "Results and errors are written here", required=True),
    Field(
        "region",
        "region",
        "Region",
        'Where jobs on Dataflow run; elsewhere any name, such as "local"',
        required=True,
    ),
)

FURTHER = (
    Field("signature_name", "signatureName", "Signature", "The model's only one, else serving_default"),
    Field("batch_size", "batchSize", "Batch size", "Records of one model call; 64 by default", "number"),
    Field(
        "max_worker_count",
        "maxWorkerCount",
        "Most workers",
        "Processes that the job may have; 10 by default",
        "number",
    ),
    Field(
        "output_data_format",
        "outputDataFormat",
        "Format of the results",
        kind="choice",
        choices=[_DEFAULT, ("JSON", "JSON"), ("CSV", "CSV"), ("PARQUET", "PARQUET")],
    ),
    Field("key_field", "instanceConfig.keyField", "Key field", "Goes past the model and onto the prediction"),
    Field("max_errors", "maxErrors", "Most errors", "Fails after more: 100, or 5%; no limit by default"),
    Field(
        "runtime_version", "runtimeVersion", "Runtime version", "Kept with the job; the installed TensorFlow runs"
    ),
)

MODEL_KINDS = (
    ("modelName", "Model: its default version"),
    ("versionName", "Version of a model"),
    ("uri", "Folder of a SavedModel"),
)

_LABEL = re.compile(r"\s*([^=\s]+)\s*=\s*(\S*)\s*")


def draft(fields: Mapping[str, str], project: str) -> dict[str, Any]:
    """The Job that the fields of the form mean; empty ones are absent.

    Raises:
      InvalidJob, Problem: a line of the labels is not `key=value`, or the job is out of the bounds of the API.
    """
    asked: dict[str, Any] = {}
    model, kind = fields.get("model", "").strip(), fields.get("model_kind", "uri")
    if model and kind in dict(MODEL_KINDS):
        asked[kind] = _full_name(project, kind, model)
    for field in (*FIELDS, *FURTHER):
        text = fields.get(field.name, "")
        value: Any = (
            [line.strip() for line in text.splitlines() if line.strip()] if field.kind == "lines" else text.strip()
        )
        if value:
            _put(asked, field.wire, value)
    return _job(fields, asked)


def draft_of_json(fields: Mapping[str, str]) -> dict[str, Any]:
    """The Job with the input that a form holds as JSON: a trainingInput where its `kind` says so.

    Raises:
      InvalidJob, Problem: it is no JSON object, with line and column; or as `draft`.
    """
    try:
        asked = load(fields.get("input", ""))
    except InvalidJob as error:
        raise InvalidJob([Violation("prediction_input", one.description) for one in error.violations]) from None
    return _job(fields, asked, "trainingInput" if fields.get("kind") == "training" else "predictionInput")


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as the form has them: a line each."""
    return "\n".join(f"{key}={value}" for key, value in labels.items())


def at_fields(violations: Sequence[Violation], *, as_json: bool = False) -> dict[str, list[str]]:
    """Descriptions by the name of the form's field that they belong to; "" for the whole of the form.

    Args:
      as_json: the form has the whole input as one field, `input`; what is said there names its path.
    """
    found: dict[str, list[str]] = {}
    for violation in violations:
        name, exact = _field_of(violation)
        if as_json and name not in ("job_id", "labels", ""):
            name, exact = "input", False
        said = exact or not violation.field or violation.field == "prediction_input"
        text = violation.description if said else f"{violation.field}: {violation.description}"
        if name == "model" and violation.field.endswith("prediction_input"):
            # The form has one field for the three, and does not name two of them at once.
            text = "This field is required."
        found.setdefault(name, []).append(text)
    return found


def _field_of(violation: Violation) -> tuple[str, bool]:
    """The form's field that a violation is about, and whether that says all of where it is."""
    path = violation.field.removeprefix("job.")
    if path.partition(".")[0] in ("job_id", "labels"):
        return path.partition(".")[0], True
    if path == "prediction_input":
        # Which of three fields names the model, or that none does, is said of the whole input.
        return ("model", True) if "model_name" in violation.description else ("input", True)
    inner = path.removeprefix("prediction_input.")
    if inner in ("model_name", "version_name", "uri"):
        return "model", True
    plain = re.sub(r"\[\d+\]", "", inner)
    name = next((field.name for field in (*FIELDS, *FURTHER) if field.path == plain), "")
    return name or ("input" if path.startswith(("prediction_input.", "training_input")) else ""), bool(
        name
    ) and plain == inner


def another_id(job_id: str, taken: Callable[[str], bool]) -> str:
    """A new id that follows from an old one: its last number counted up, or "_2" behind it.

    Args:
      taken: tells whether an id is in use; asked a few times only, the last answer may still be taken.
    """
    match = re.fullmatch(r"(.*?_)(\d{1,6})", job_id)
    stem, number = (match[1], int(match[2])) if match else (f"{job_id}_", 1)
    candidate = job_id
    for step in (1, 2, 3, 4, 5, 10, 20, 50, 100, 1000):
        text = str(number + step)
        candidate = stem[: MAX_ID_LENGTH - len(text)] + text
        if not taken(candidate):
            break
    return candidate


def _job(fields: Mapping[str, str], asked: dict[str, Any], kind: str = "predictionInput") -> dict[str, Any]:
    job: dict[str, Any] = {"jobId": fields.get("job_id", "").strip(), kind: asked}
    labels: dict[str, str] = {}
    for line in fields.get("labels", "").splitlines():
        if not line.strip():
            continue
        match = _LABEL.fullmatch(line)
        if match is None:
            raise InvalidJob([Violation("labels", f'"{line.strip()}" is not of the form key=value.')])
        labels[match[1]] = match[2]
    return _bounded({**job, "labels": labels} if labels else job)


def _bounded(job: dict[str, Any]) -> dict[str, Any]:
    """The job as it would come over the API, with the bounds and the checks of every text that it has there."""
    try:
        body = json.dumps(job).encode()
    except RecursionError:
        raise InvalidJob([Violation("prediction_input", "It is nested too deeply.")]) from None
    if len(body) > bodies.MAX_BODY:
        raise bodies.too_large()
    return bodies.read(body, "application/json", "job")


def _full_name(project: str, kind: str, model: str) -> str:
    """Model and version may be named as they are within the project: "census", "census/v1"."""
    if kind == "uri" or model.startswith("projects/"):
        return model
    name, _, version = model.partition("/")
    if kind == "modelName":
        return f"projects/{project}/models/{model}"
    return f"projects/{project}/models/{name}/versions/{version.removeprefix('versions/')}"


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value
