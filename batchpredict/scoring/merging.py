"""Results of a split that complete those of an earlier job, and are written with them as one part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from typing import IO, cast

import numpy as np

from batchpredict import storage
from batchpredict.errors import InvalidJob, NoInput, Violation
from batchpredict.formats import Kept, OutputFormat, csv_columns, parquet_columns
from batchpredict.ledger import CSV_HEADER, spooling
from batchpredict.scoring.instances import Instances
from batchpredict.scoring.picked import positions_of
from batchpredict.scoring.rows import Results

# New results that are held in memory; more go to a temporary file.
_SPOOLED = 8 << 20
_PLACES = 1 << 16
_COPIED = 1 << 20


class Merging:
    """Collects the results of one attempt at a split, and then writes them among those that are kept.

    Args:
      kept: the results of the earlier job.
      results: the columns of this one.
      output: the format of both.

    Attributes:
      file: where the new results are to be written.

    Raises:
      InvalidJob: the results of the two jobs cannot stand in one file.
      NoInput: those of the earlier job are gone or have changed.
    """

    def __init__(self, kept: Kept, results: Results, output: OutputFormat) -> None:
        self._kept = kept
        self._output = output
        self._types = results.types
        self._check_kept()
        try:
            self._check_columns(results)
        except (OSError, ValueError) as error:
            raise NoInput(f"onlyErrorsOf: '{kept.url}' cannot be read: {error}") from error
        self.file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOLED))  # noqa: SIM115
        self._before = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOLED))  # noqa: SIM115

    def _check_kept(self) -> None:
        url = self._kept.url
        try:
            size = storage.size_of(url)
        except OSError as error:
            raise NoInput(f"onlyErrorsOf: '{url}' cannot be read: {error}") from error
        if size != self._kept.bytes:
            raise NoInput(f"onlyErrorsOf: '{url}' has {size} bytes instead of {self._kept.bytes}: it has changed.")

    def _check_columns(self, results: Results) -> None:
        if self._output.typed:
            types = parquet_columns(self._kept.url)
            old, fits = list(types), list(types.items()) == list(results.types.items())
        elif self._output.header:
            old = csv_columns(storage.read_bytes(storage.join(storage.parent(self._kept.url), CSV_HEADER)))
            fits = old == list(results.names)
        else:
            return
        if not fits:
            text = (
                f"The results that are kept have the columns {', '.join(old)}, and the new ones would have "
                f"{', '.join(results.names)}, or others of these names; they cannot be merged."
            )
            raise InvalidJob([Violation("only_errors_of", text)])

    def note(self, group: Instances, left_out: Collection[int]) -> None:
        """The rows of a group, less those that are left out, have been written to `file`."""
        before = positions_of(group)["before"]
        with spooling():
            self._before.write(np.delete(before, list(left_out)).tobytes())

    def write(self, file: IO[bytes]) -> int:
        """Write all results in their order; how many of them are kept ones.

        Raises:
          OSError: `file` cannot be written.
          NoInput: what is kept cannot be read, or is not what it should be.
        """
        kept = self._kept
        try:
            if not self._before.tell():
                with storage.open_read(kept.url) as source:
                    shutil.copyfileobj(source, file, _COPIED)
                return kept.rows
            self.file.seek(0)
            self._before.seek(0)
            rows = self._output.load_interleave()(kept, self.file, self._places(), file, self._types)
        except OSError:
            # If it is not this one, it is the part that cannot be written.
            self._check_kept()
            raise
        except ValueError as error:
            raise NoInput(f"onlyErrorsOf: '{kept.url}' cannot be read: {error}") from error
        if rows != kept.rows:
            raise NoInput(f"onlyErrorsOf: '{kept.url}' has {rows} results instead of {kept.rows}: it has changed.")
        return rows

    def _places(self) -> Iterator[int]:
        while data := self._before.read(8 * _PLACES):
            yield from np.frombuffer(data, np.int64).tolist()

    def close(self) -> None:
        self.file.close()
        self._before.close()
