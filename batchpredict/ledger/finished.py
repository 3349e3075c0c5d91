"""What a job came to whose results are all published, as `output.json` and `published/` keep it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.job import PredictionOutput
from batchpredict.ledger.access import reading
from batchpredict.ledger.published import SUCCESS, owner_of
from batchpredict.ledger.staging import Staging


@dataclass(frozen=True)
class _Stored:
    """What `output.json` holds.

    `files`: bytes by name; names only where version 0.1 wrote it. `pages`: how many pages of `published/` have
    more.
    """

    predictionOutput: PredictionOutput  # noqa: N815 - as it is on the wire
    files: dict[str, int] | list[str]
    pages: int = 0


_STORED = TypeAdapter(_Stored)
_SIZES = TypeAdapter(dict[str, int])


def finished_output(staging: Staging) -> PredictionOutput | None:
    """The output of a job whose results are all published; None if they are not.

    Raises:
      OutputRefused: the folder cannot be read.
      StagingDamaged: they were published, and one of them is gone or has another size now.
    """
    output_path = staging.output_path
    success = storage.join(output_path, SUCCESS)
    # Whose folder it is first: of a job that is not done, nothing else is asked.
    if owner_of(output_path) != staging.fingerprint or not reading(output_path, storage.exists, success):
        return None
    try:
        stored = _STORED.validate_json(reading(output_path, storage.read_bytes, staging.output))
        files = stored.files if isinstance(stored.files, dict) else dict.fromkeys(stored.files)
        _check_published(staging, files)
        for page in range(stored.pages):
            sizes = reading(output_path, storage.read_bytes, staging.published(page))
            _check_published(staging, _SIZES.validate_json(sizes))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise StagingDamaged(f"{staging.output} cannot be read; run the job again with --fresh.") from error
    return PredictionOutput.model_validate({**stored.predictionOutput.to_wire(), "outputPath": output_path})


def store_output(staging: Staging, output: PredictionOutput, files: Mapping[str, int], pages: int) -> None:
    """Keep what a job came to, for `finished_output`.

    Args:
      files: bytes by name of the published files that no page of `published/` has.
      pages: pages of `published/`.

    Raises:
      OSError: it cannot be written.
    """
    stored = {"predictionOutput": output.to_wire(), "files": dict(files), "pages": pages}
    storage.replace_bytes(staging.output, json.dumps(stored, indent=1).encode())


def store_sizes(staging: Staging, page: int, sizes: Mapping[str, int]) -> None:
    """Keep what of a page of splits is published: bytes by name. Raises OSError."""
    storage.replace_bytes(staging.published(page), json.dumps(dict(sizes)).encode())


def _check_published(staging: Staging, files: dict[str, int] | dict[str, None]) -> None:
    there = reading(staging.output_path, storage.sizes_of, staging.output_path, list(files))
    for name, size in files.items():
        now = there.get(name)
        if now is None or (size is not None and now != size):
            what = "is gone" if now is None else f"has {now} bytes instead of {size}"
            raise StagingDamaged(
                f"The results of this job were published and {name} {what} since; run it again with --fresh."
            )
