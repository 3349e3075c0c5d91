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
from batchpredict.formats import Split, cut, suffix_in_capitals
from batchpredict.ledger.access import read_lines, reading, spooling, writing
from batchpredict.ledger.published import OwnFiles, owns
from batchpredict.ledger.spec import FORMAT_VERSION, PredictionSpec
from batchpredict.ledger.split_size import choose_split_bytes, mean_record_bytes
from batchpredict.ledger.staging import Staging

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
    """A plan with its splits, in temporary files that end with the draft. A context manager.

    Args:
      plan: the plan.
      file: its splits, a line each.
      positions: the places of the records that the splits select; None if they select none.
    """

    def __init__(self, plan: Plan, file: IO[bytes], positions: IO[bytes] | None = None) -> None:
        self.plan = plan
        self._file = file
        self._positions = positions

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()
        if self._positions is not None:
            self._positions.close()

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
                if self._positions is not None:
                    # Whoever plans this job writes the same bytes, so the last one may win.
                    aside = storage.join(staging.root, f"positions-{uuid.uuid4().hex[:12]}.bin")
                    _write_file(aside, self._positions)
                    storage.move(aside, staging.positions)
                _write_file(storage.join(staging.root, name), self._file)
                document = json.dumps({"format": FORMAT_VERSION, **asdict(plan)}).encode()
                if storage.create_if_absent(staging.plan, document):
                    storage.sync_folders(staging.root)
                    return plan
                storage.delete(storage.join(staging.root, name))
        return load_plan(staging)


def _write_file(url: str, written: IO[bytes]) -> None:
    written.seek(0)
    with storage.writing_to(url) as file:
        shutil.copyfileobj(written, file, 1 << 20)
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
    refuse_unknown_places(spec)
    refuse_own_output(spec)
    with spooling(), spool() as listed:
        fingerprint = begin_fingerprint(spec, model)
        files, total, sample = _list(spec, listed, fingerprint)
        record_bytes = mean_record_bytes(sample, spec.input, spec.max_record_bytes)
        split_bytes = spec.split_bytes or choose_split_bytes(
            total, spec.batch_size, record_bytes, remote=not storage.is_local(spec.inputs[0])
        )
        found = cut(_listed(listed), split_bytes=split_bytes, splittable=spec.input.can_cut)
        return draft(fingerprint, found, files=files, total=total, split_bytes=split_bytes, model=model)


def draft(
    fingerprint: Any,
    splits: Iterator[Split],
    *,
    files: int,
    total: int,
    split_bytes: int,
    model: str,
    positions: IO[bytes] | None = None,
) -> Draft:
    """A plan of some splits, which are written to a temporary file.

    Args:
      fingerprint: a hash of all that the job consists of but for the cut.
      splits: in their order; a job has at least one, of nothing if there are none.
      files, total, split_bytes, model: as those of a `Plan`.
      positions: as that of a `Draft`.
    """
    file = spool()
    offsets, count = _write(file, splits)
    # The cut is hashed too: were it ever made in another way, its splits must not meet those of before.
    for number in (split_bytes, count):
        fingerprint.update(json.dumps(number).encode())
    name = fingerprint.hexdigest()[:16]
    plan = Plan(name, count, files, total, split_bytes, model, "", _PAGE, tuple(offsets))
    return Draft(plan, file, positions)


def begin_fingerprint(spec: PredictionSpec, model: str) -> Any:
    """The hash of whatever makes a job this job; what it reads is still to be added."""
    fingerprint = hashlib.sha256()
    for part in (FORMAT_VERSION, spec.options(), model):
        fingerprint.update(json.dumps(part, sort_keys=True).encode())
    return fingerprint


def spool() -> IO[bytes]:
    """A temporary file that is in memory while it is small; whoever gets it closes it."""
    file: Any = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115
    return file  # type: ignore[no-any-return]


def _list(spec: PredictionSpec, listed: IO[bytes], fingerprint: Any) -> tuple[int, int, storage.Input | None]:
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
        listed.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if sample is None and file.size and not file.encoding and can_cut(file.url):
            sample = file
        count += 1
        total += file.size
    fingerprint.update(b"]")
    return count, total, sample


def _matched(spec: PredictionSpec) -> Iterator[storage.Input]:
    """The input files, never what the job itself writes: submitted again it would be another job."""
    try:
        for file in named_inputs(spec.output_path, spec.input_list) if spec.input_list else _found(spec):
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


def named_inputs(output_path: str, input_list: str) -> Iterator[storage.Input]:
    """The files of a job's own list; that they are what it says is checked when they are read.

    Args:
      output_path: of the job.
      input_list: URL of the list; see `PredictionSpec`.

    Raises:
      StagingDamaged: it is not there, or is none.
    """
    try:
        for line in read_lines(output_path, input_list, 0):
            yield storage.Input(*orjson.loads(line))
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise StagingDamaged(f"The list of input files {input_list} cannot be read: {error}.") from error


def _listed(listed: IO[bytes]) -> Iterator[storage.Input]:
    listed.seek(0)
    return (storage.Input(*orjson.loads(line)) for line in listed)


def _write(file: IO[bytes], splits: Iterator[Split]) -> tuple[list[int], int]:
    """Write splits as lines; where each page of them begins, and how many there are. At least one, of nothing."""
    offsets = []
    count = 0
    first = next(splits, Split(0, ()))
    for split in itertools.chain([first], splits):
        if count % _PAGE == 0:
            offsets.append(file.tell())
        file.write(f"{split.to_json()}\n".encode())
        count += 1
    return offsets, count


def refuse_unknown_places(spec: PredictionSpec) -> None:
    """Refuse a URL whose protocol nobody here speaks, or whose package is not installed.

    Raises:
      NoInput: one of the inputs.
      OutputRefused: that of the output folder.
    """
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
