"""The plan of a job: which files, cut into which splits, under which fingerprint.

Everything here is a pure function of the inputs (names, sizes, versions), the model and the options, so the same
job submitted again, by anybody, under any id, finds the same splits and what was already done of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from batchpredict import storage
from batchpredict.errors import NoInput, OutputRefused, StagingDamaged
from batchpredict.formats import Split, can_cut, cut, reader_of
from batchpredict.formats.records import Run, Segment
from batchpredict.models.fetch import model_digest
from batchpredict.prediction.published import owns
from batchpredict.prediction.spec import FORMAT_VERSION, PredictionSpec
from batchpredict.prediction.staging import Staging
from batchpredict.storage.files import locate

# A job is cut into about this many splits, which is what one that is killed loses a few of.
_SPLITS = 64
# A smaller split spends more on its files and its manifest than on its records.
_SMALLEST = 256 * 1024
# A larger one makes the last worker's last split too long to wait for.
_LARGEST = 64 * 1024 * 1024
# A split ends in a short batch, so it should have some whole ones before that.
_BATCHES = 4
_SAMPLE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """What a job consists of.

    Attributes:
      fingerprint: names the staging folder; 16 hexadecimal digits.
      splits: number of splits, at least 1.
      files: input files.
      bytes: input bytes.
      split_bytes: the size that large files are cut to.
      model: digest of the model's files; None in a plan that was stored before there was one.
    """

    fingerprint: str
    splits: int
    files: int
    bytes: int
    split_bytes: int
    model: str | None = None


def make_plan(spec: PredictionSpec) -> tuple[Plan, list[Split]]:
    """Match the inputs and cut them.

    Raises:
      NoInput: a pattern matches nothing or cannot be listed.
      OutputRefused: a pattern would match the job's own results.
      ModelUnusable: there is no SavedModel at the model's URI.
    """
    model = model_digest(spec.model_uri)
    _refuse_unknown_places(spec)
    _refuse_own_output(spec)
    files = list(storage.match(spec.inputs))
    total = sum(file.size for file in files)
    split_bytes = spec.split_bytes or choose_split_bytes(
        total, spec.batch_size, _mean_record_bytes(files, spec.data_format, spec.max_record_bytes)
    )
    splits = list(cut(files, split_bytes=split_bytes, splittable=lambda url: can_cut(spec.data_format, url))) or [
        Split(0, ())
    ]
    # The cut is hashed too: were it ever made in another way, its splits must not meet those of before.
    fingerprint = hashlib.sha256()
    versions = [(file.url, file.size, file.version) for file in files]
    for part in (FORMAT_VERSION, spec.options(), model, versions, split_bytes, len(splits)):
        fingerprint.update(json.dumps(part, sort_keys=True).encode())
    plan = Plan(fingerprint.hexdigest()[:16], len(splits), len(files), total, split_bytes, model)
    return plan, splits


def choose_split_bytes(total: int, batch_size: int, record_bytes: float) -> int:
    """Bytes of a split: a share of the job, but some batches, and neither too small nor too large."""
    batches = int(_BATCHES * batch_size * record_bytes)
    return max(min(max(total // _SPLITS, _SMALLEST), _LARGEST), batches)


def _mean_record_bytes(files: Sequence[storage.Input], data_format: str, max_record_bytes: int) -> float:
    """Mean size of the first records of the first file that has any; 0 if that cannot be said."""
    if data_format == "PARQUET":
        return 0.0
    first = next((file for file in files if file.size and can_cut(data_format, file.url)), None)
    if first is None:
        return 0.0
    segment = Segment(first.url, 0, min(first.size, _SAMPLE_BYTES), first.size)
    try:
        events = reader_of(data_format)(segment, rows=1024, max_record_bytes=max_record_bytes)
        run = next((event for event in events if isinstance(event, Run)), None)
    except OSError as error:
        raise NoInput(f"inputPaths: '{first.url}' cannot be read: {error}") from error
    return sum(map(len, run.payloads)) / len(run) if run else 0.0


def _refuse_unknown_places(spec: PredictionSpec) -> None:
    """Refuse a URL whose protocol nobody here speaks, or whose package is not installed."""
    for kind, field, urls in (
        (NoInput, "inputPaths", spec.inputs),
        (OutputRefused, "outputPath", (spec.output_path,)),
    ):
        for url in urls:
            try:
                locate(url)
            except (ValueError, ImportError, OSError) as error:
                raise kind(f"{field}: '{url}' cannot be used: {error}") from error


def _refuse_own_output(spec: PredictionSpec) -> None:
    for pattern in spec.inputs:
        if owns(spec.output_path, pattern, spec.output_format):
            raise OutputRefused(
                f"outputPath: '{spec.output_path}' is where the pattern '{pattern}' of inputPaths looks for its "
                "files, so the next run would read the results of this one. Choose another folder."
            )


def store_plan(staging: Staging, plan: Plan, splits: Sequence[Split]) -> None:
    """Write a plan to its staging folder, unless it is there.

    Raises:
      OutputRefused: the output folder cannot be written to.
    """
    lines = [json.dumps({"format": FORMAT_VERSION, **asdict(plan)}), *(split.to_json() for split in splits)]
    try:
        storage.create_if_absent(staging.plan, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise OutputRefused(f"outputPath: cannot write to '{staging.output_path}': {error}") from error


def load_plan(staging: Staging) -> tuple[Plan, Iterator[Split]]:
    """The plan that is stored in a staging folder.

    Raises:
      StagingDamaged: there is none, or it cannot be read.
    """
    try:
        header, *lines = storage.read_bytes(staging.plan).decode().splitlines()
    except FileNotFoundError as error:
        raise StagingDamaged(
            f"The plan {staging.plan} is gone; somebody removed it while the job ran (another run with --fresh, "
            "perhaps). Run the job again."
        ) from error
    try:
        fields = json.loads(header)
        del fields["format"]
        return Plan(**fields), (Split.from_json(line) for line in lines)
    except (ValueError, KeyError, TypeError) as error:
        text = f"The plan {staging.plan} cannot be read ({error}); run the job again with --fresh."
        raise StagingDamaged(text) from error
