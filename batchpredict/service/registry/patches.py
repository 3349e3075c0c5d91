"""Which fields of models and versions a patch changes, and to what: its mask and its document taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import to_camel
from batchpredict.resources import ModelName, id_fault

MODEL_MASK = (
    "default_version.name",
    "description",
    "etag",
    "labels",
    "online_prediction_console_logging",
    "online_prediction_logging",
)
_DEFAULT = "model.default_version.name"
VERSION_MASK = (
    "auto_scaling",
    "description",
    "etag",
    "labels",
    "manual_scaling",
    "request_logging_config",
)


def masked(mask: Sequence[str], known: Sequence[str], given: set[str]) -> list[str]:
    """The fields that a patch changes: those of its mask, or without one those that it has. Raises InvalidJob."""
    wanted = list(mask)
    if not wanted:
        wanted = [path for path in known if path.partition(".")[0] in given]
    wrong = [path for path in wanted if path not in known]
    if wrong or not wanted:
        what = f'"{wrong[0]}" cannot be changed' if wrong else "It names no field"
        raise InvalidJob([Violation("update_mask", f"{what}; expected some of {', '.join(known)}.")])
    return wanted


def changes_of(document: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """The fields of a patch in wire form; None for one that is masked and not given."""
    names = [to_camel(path) for path in wanted if path not in ("etag", "default_version.name")]
    return {name: document.get(name, {} if name == "labels" else None) for name in names}


def default_of(value: Any, model: ModelName) -> str:
    """The id in `defaultVersion.name`, which may be a full name of a version of the model. Raises InvalidJob."""
    name = value.get("name") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InvalidJob([Violation(_DEFAULT, "This field is required.")])
    version = name.removeprefix(f"{model}/versions/")
    if fault := id_fault(version):
        raise InvalidJob([Violation(_DEFAULT, f'"{name}" is not a version of the model "{model}": {fault}')])
    return version
