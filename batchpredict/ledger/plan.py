"""The plan of a job: which files, cut into which splits, under which fingerprint.

Everything here is a pure function of the inputs (names, sizes, versions), the model and the options, so the same
job submitted again, by anybody, under any id, finds the same splits and what was already done of them.

A job may have a million files. They are listed, cut and stored one after the other and never held together; the
stored splits are read by the page.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import orjson

from batchpredict import storage
from batchpredict.errors import NoInput, NoMatch, OutputRefused, StagingDamaged
from batchpredict.formats import InputFormat, Run, Segment, Split, cut, suffix_in_capitals
from batchpredict.ledger.access import read_lines, reading, spooling, writing
from batchpredict.ledger.published import OwnFiles, owns
from batchpredict.ledger.spec import FORMAT_VERSION, PredictionSpec
from batchpredict.ledger.staging import Staging

# A job is cut into about this many splits, which is what one that is killed loses a few of.
_SPLITS = 64
# A smaller split spends more on its files and its manifest than on its records.
_SMALLEST = 256 * 1024
# The same on a store, where each of these is a request, and a split waits for three of 50 ms in its turn.
_SMALLEST_REMOTE = 32 * 1024 * 1024
# A larger one makes the last worker's last split too long to wait for.
_LARGEST = 64 * 1024 * 1024
# A split ends in a short batch, so it should have some whole ones before that.
_BATCHES = 4
_SAMPLE_BYTES = 1024 * 1024
# Splits of a page. Their names begin alike, so a store lists a page of them by one request.
_PAGE = 1000
# Bytes of a plan that are made that stay in memory before they go to a temporary file.
_SPOOLED = 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """What a job consists of.

    Attributes:
      fingerprint: names the staging folder; 16 hexadecimal digits.
      splits: number of splits, at least 1.
      files: input files.
      bytes: input bytes.
      split_bytes: the size that large files are cut to.
      model: digest of the model's files.
      file: name in the staging folder of the file that holds the splits, a line each; "" until they are stored.
      page_splits: splits of a page, which is what one step of a pipeline reads, proves or publishes.
      offsets: byte of that file at which each page begins.
    """

    fingerprint: str
    splits: int
    files: int
    bytes: int
    split_bytes: int
    model: str | None = None
    file: str = ""
    page_splits: int = 0
    offsets: tuple[int, ...] = ()

    @property
    def pages(self) -> range:
        """Numbers of the pages."""
        return range(len(self.offsets))

    def page(self, number: int) -> range:
        """Numbers of the splits of a page."""
        begin = number * self.page_splits
        return range(begin, min(begin + self.page_splits, self.splits))


class Draft:
    """A plan with its splits, in a temporary file that ends with the draft. A context manager."""

    def __init__(self, plan: Plan, file: IO[bytes]) -> None:
        self.plan = plan
        self._file = file

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()

    def splits(self) -> Iterator[Split]:
        self._file.seek(0)
        return map(Split.from_json, self._file)

    def store(self, staging: Staging) -> Plan:
        """Write the plan to its staging folder, unless it is there; gives the plan that is there then.

        Raises:
          OutputRefused: the output folder cannot be read or written.
        """
        if not reading(staging.output_path, storage.exists, staging.plan):
            name = f"splits-{uuid.uuid4().hex[:12]}.jsonl"
            plan = replace(self.plan, file=name)
            with writing(staging.output_path):
                self._write(storage.join(staging.root, name))
                document = json.dumps({"format": FORMAT_VERSION, **asdict(plan)}).encode()
                if storage.create_if_absent(staging.plan, document):
                    storage.sync_folders(staging.root)
                    return plan
                storage.delete(storage.join(staging.root, name))
        return load_plan(staging)

    def _write(self, url: str) -> None:
        self._file.seek(0)
        with storage.writing_to(url) as file:
            shutil.copyfileobj(self._file, file, 1 << 20)
        storage.sync(url)


def make_plan(spec: PredictionSpec, model: str) -> Draft:
    """Match the inputs and cut them.

    Args:
      spec: the job.
      model: digest of the model's files.

    Raises:
      NoInput: a pattern matches nothing or cannot be listed.
      OutputRefused: a pattern would match the job's own results.
      JobFailed: there is no room for temporary files.
    """
    _refuse_unknown_places(spec)
    refuse_own_output(spec)
    with spooling(), _spool() as listed:
        fingerprint = hashlib.sha256()
        for part in (FORMAT_VERSION, spec.options(), model):
            fingerprint.update(json.dumps(part, sort_keys=True).encode())
        files, total, sample = _list(spec, listed, fingerprint)
        record_bytes = _mean_record_bytes(sample, spec.input, spec.max_record_bytes)
        split_bytes = spec.split_bytes or choose_split_bytes(
            total, spec.batch_size, record_bytes, remote=not storage.is_local(spec.inputs[0])
        )
        found = cut(_listed(listed), split_bytes=split_bytes, splittable=spec.input.can_cut)
        file = _spool()
        offsets, splits = _write(file, found, _PAGE)
    # The cut is hashed too: were it ever made in another way, its splits must not meet those of before.
    for number in (split_bytes, splits):
        fingerprint.update(json.dumps(number).encode())
    plan = Plan(fingerprint.hexdigest()[:16], splits, files, total, split_bytes, model, "", _PAGE, tuple(offsets))
    return Draft(plan, file)


def _spool() -> IO[bytes]:
    spool: Any = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - closed by whoever gets it
    return spool  # type: ignore[no-any-return]


def _list(spec: PredictionSpec, spool: IO[bytes], fingerprint: Any) -> tuple[int, int, storage.Input | None]:
    """Write the input files to a spool and into the fingerprint; their number, their bytes, and one to sample."""
    count = total = 0
    sample: storage.Input | None = None
    can_cut = spec.input.can_cut
    # What is hashed is the JSON of one list, without it ever being made.
    fingerprint.update(b"[")
    for file in _matched(spec):
        line = (file.url, file.size, file.version, *([file.encoding] if file.encoding else []))
        # A version before this one did not see that files with suffixes in capitals are compressed.
        hashed = (*line, "compressed") if spec.input.by_name and suffix_in_capitals(file.url) else line
        fingerprint.update((", " if count else "").encode() + json.dumps(hashed).encode())
        spool.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if sample is None and file.size and not file.encoding and can_cut(file.url):
            sample = file
        count += 1
        total += file.size
    fingerprint.update(b"]")
    return count, total, sample


def _matched(spec: PredictionSpec) -> Iterator[storage.Input]:
    """The input files, never what the job itself writes: submitted again it would be another job."""
    try:
        for file in _named(spec) if spec.input_list else _found(spec):
            if file.encoding not in ("", "gzip") or (file.encoding and not spec.input.streamed):
                raise NoInput(
                    f"inputPaths: '{file.url}' is stored with Content-Encoding: {file.encoding}, which cannot be "
                    f"undone in a file of dataFormat {spec.data_format}; store it as it is."
                )
            yield file
    except NoMatch as error:
        raise NoInput(f"inputPaths: {error}") from error


def _found(spec: PredictionSpec) -> Iterator[storage.Input]:
    return storage.match(spec.inputs, left_out=OwnFiles(spec.output_path))


def _named(spec: PredictionSpec) -> Iterator[storage.Input]:
    """The files of the spec's own list; that they are what it says is checked when they are read."""
    try:
        for line in read_lines(spec.output_path, spec.input_list, 0):
            yield storage.Input(*orjson.loads(line))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise StagingDamaged(f"The list of input files {spec.input_list} cannot be read: {error}.") from error


def _listed(spool: IO[bytes]) -> Iterator[storage.Input]:
    spool.seek(0)
    return (storage.Input(*orjson.loads(line)) for line in spool)


def _write(file: IO[bytes], splits: Iterator[Split], page: int) -> tuple[list[int], int]:
    """Write splits as lines; where each page of them begins, and how many there are. At least one, of nothing."""
    offsets = []
    count = 0
    first = next(splits, Split(0, ()))
    for split in itertools.chain([first], splits):
        if count % page == 0:
            offsets.append(file.tell())
        file.write(f"{split.to_json()}\n".encode())
        count += 1
    return offsets, count


def choose_split_bytes(total: int, batch_size: int, record_bytes: float, *, remote: bool = False) -> int:
    """Bytes of a split: a share of the job, but some batches, and neither too small nor too large."""
    batches = int(_BATCHES * batch_size * record_bytes)
    smallest = _SMALLEST_REMOTE if remote else _SMALLEST
    return max(min(max(total // _SPLITS, smallest), _LARGEST), batches)


def most_splits(total: int, split_bytes: int | None, *, remote: bool = False) -> int:
    """More splits than these a job does not have: with small files packed, two neighbours exceed one split's size.

    Args:
      total: bytes of its inputs, of which there are not thousands.
      split_bytes: as the job has it; None for a size that is chosen.
    """
    smallest = split_bytes or (_SMALLEST_REMOTE if remote else _SMALLEST)
    return 2 * total // smallest + 1


def _mean_record_bytes(first: storage.Input | None, data_format: InputFormat, max_record_bytes: int) -> float:
    """Mean size of the first records of a file; 0 if that cannot be said."""
    if first is None or not data_format.sampled:
        return 0.0
    segment = Segment(first.url, 0, min(first.size, _SAMPLE_BYTES), first.size)
    try:
        events = data_format.load_reader()(segment, rows=1024, max_record_bytes=max_record_bytes)
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
                storage.check(url)
            except (ValueError, ImportError, OSError) as error:
                raise kind(f"{field}: '{url}' cannot be used: {error}") from error


def refuse_own_output(spec: PredictionSpec) -> None:
    """Refuse a job that would read its own results.

    Raises:
      OutputRefused: a pattern of its inputs asks for files like them in its output folder.
      NoInput: a pattern's file system refuses to answer.
    """
    for pattern in spec.inputs:
        if owns(spec.output_path, pattern, spec.output):
            raise OutputRefused(
                f"outputPath: '{spec.output_path}' is where the pattern '{pattern}' of inputPaths looks for its "
                "files, so the next run would read the results of this one. Choose another folder."
            )


def load_plan(staging: Staging) -> Plan:
    """The plan that is stored in a staging folder.

    Raises:
      OutputRefused: the staging folder cannot be read.
      StagingDamaged: there is none, or it is not whole.
    """
    try:
        fields = json.loads(reading(staging.output_path, storage.read_bytes, staging.plan))
        del fields["format"]
        return Plan(**{**fields, "offsets": tuple(fields["offsets"])})
    except FileNotFoundError as error:
        raise _gone(staging) from error
    except (ValueError, KeyError, TypeError) as error:
        text = f"The plan {staging.plan} cannot be read ({error}); run the job again with --fresh."
        raise StagingDamaged(text) from error


def read_page(staging: Staging, plan: Plan, page: int) -> Iterator[Split]:
    """The splits of one page of a stored plan, as they are read.

    Raises:
      OutputRefused: the staging folder cannot be read.
      StagingDamaged: the splits are gone, or not whole.
    """
    name = storage.join(staging.root, plan.file)
    numbers = plan.page(page)
    count = 0
    try:
        lines = read_lines(staging.output_path, name, plan.offsets[page])
        for line in itertools.islice(lines, len(numbers)):
            split = Split.from_json(line)
            if split.index != numbers[count]:
                raise ValueError(f"split {numbers[count]} is not where it should be")
            count += 1
            yield split
        if count < len(numbers):
            raise ValueError(f"it ends before split {numbers[count]}")
    except FileNotFoundError as error:
        raise _gone(staging) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StagingDamaged(
            f"The plan {name} cannot be read ({error}); run the job again with --fresh."
        ) from error


def _gone(staging: Staging) -> StagingDamaged:
    return StagingDamaged(
        f"The plan {staging.plan} is gone; somebody removed it while the job ran (another run with --fresh, "
        "or batchpredict clean, perhaps). Run the job again."
    )
