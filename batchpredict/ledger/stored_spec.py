"""The spec of a job beside what came of it, for a job that goes on from there."""

from __future__ import annotations

import dataclasses
import json

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger.access import reading, writing
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging


def store_spec(staging: Staging, spec: PredictionSpec) -> None:
    """Keep a job's spec, unless an earlier run has. Its paths are kept from the root, so they hold everywhere.

    Raises:
      OutputRefused: the output folder cannot be read or written.
    """
    if reading(staging.output_path, storage.exists, staging.spec):
        return
    kept = dataclasses.replace(
        spec,
        inputs=tuple(map(storage.absolute, spec.inputs)),
        model_uri=storage.absolute(spec.model_uri),
        output_path=storage.absolute(spec.output_path),
    )
    with writing(staging.output_path):
        storage.create_if_absent(staging.spec, kept.to_json().encode())


def load_spec(staging: Staging) -> PredictionSpec | None:
    """The spec of a job; None for one of a version that did not keep it.

    Raises:
      OutputRefused: the folder cannot be read.
      StagingDamaged: what is there is no spec.
    """
    try:
        data = reading(staging.output_path, storage.read_bytes, staging.spec)
    except FileNotFoundError:
        return None
    known = {field.name for field in dataclasses.fields(PredictionSpec)}
    try:
        # A later version may have added some.
        fields = {name: value for name, value in json.loads(data).items() if name in known}
        return PredictionSpec.from_json(json.dumps(fields))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StagingDamaged(f"{staging.spec} cannot be read ({error}); remove it.") from error
