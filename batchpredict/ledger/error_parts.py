"""The errors of a job on their way from the parts of its splits to published files.

A part counts records from the beginning of its split, because nobody knew what lies before it; a published file
counts them from the beginning of their file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger.access import each
from batchpredict.ledger.manifest import PartFile
from batchpredict.ledger.staging import Staging


@dataclass(frozen=True)
class ErrorPart:
    """The errors of a split.

    Attributes:
      part: their part.
      name: what they are published as.
      sources: the files that they point into, by segment, with the records of each that lie before the split.
    """

    part: PartFile
    name: str
    sources: list[tuple[str, int]]


def publish_errors(staging: Staging, errors: Sequence[ErrorPart], *, numbered: bool) -> dict[str, int]:
    """Publish files of errors, each with its source file and its position in that file; their bytes by name.

    The parts stay until the job has succeeded: what a publish before this one has left may be half a file.

    Raises:
      OSError: something cannot be read or written.
      StagingDamaged: a part holds something else than errors.
    """
    written = each(staging.output_path, lambda one: _locate(staging, one, numbered=numbered), errors)
    # A file is whole before it gets a name that somebody reads.
    storage.sync(*(url for url, _ in written))
    moves = [
        (url, storage.join(staging.output_path, one.name)) for one, (url, _) in zip(errors, written, strict=True)
    ]
    each(staging.output_path, lambda move: storage.move(*move), moves)
    return {one.name: size for one, (_, size) in zip(errors, written, strict=True)}


def first_error(staging: Staging, part: PartFile, sources: Sequence[tuple[str, int]]) -> str:
    """Where and what the first error of a part is, for a message.

    Args:
      sources: as in `ErrorPart`.

    Raises:
      OSError: the part cannot be read.
      StagingDamaged: it holds something else than errors.
    """
    with storage.open_read(staging.part(part.name)) as lines:
        line = next(_located(lines, sources, numbered=False), None)
    if line is None:
        raise _damaged(sources)
    error = orjson.loads(line)
    return f"{error['source']} at byte {error['offset']}: {error['message']}"


def _locate(staging: Staging, errors: ErrorPart, *, numbered: bool) -> tuple[str, int]:
    """Rewrite a part of errors with their places in their files; the URL of what was written, and its bytes."""
    rewritten = staging.part(staging.new_part(0, ".errors.published"))
    size = 0
    with storage.open_read(staging.part(errors.part.name)) as lines, storage.writing_to(rewritten) as file:
        for line in _located(lines, errors.sources, numbered=numbered):
            size += file.write(line)
    return rewritten, size


# A line of an error part: where its record stood, and the rest, which is not decoded: a key may be a number that no
# type holds.
_ERROR = re.compile(rb'\{"segment":(\d+),"index":(\d+),"offset":(\d+)(,.*\}\n)', re.DOTALL)


def _located(lines: Iterable[bytes], sources: Sequence[tuple[str, int]], *, numbered: bool) -> Iterator[bytes]:
    for line in lines:
        match = _ERROR.fullmatch(line)
        if match is None:
            raise _damaged(sources)
        path, base = sources[int(match[1])]
        index = base + int(match[2])
        place = {"source": path, "offset": int(match[3]), "index": index}
        if numbered:
            place["line"] = index + 1
        yield orjson.dumps(place)[:-1] + match[4]


def _damaged(sources: Sequence[tuple[str, int]]) -> StagingDamaged:
    return StagingDamaged(
        f"Errors of '{sources[0][0]}' cannot be read from staging; run the job again with --fresh."
    )
