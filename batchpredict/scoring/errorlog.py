"""The errors part of a split: one JSON object a line for each failed instance or damage.

While a split is scored nobody knows how many records lie before it in its file, so the lines hold the record's
index within its segment; publishing turns it into the index within the file.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter
from typing import Any

import orjson

from batchpredict import storage
from batchpredict.errors import RecordRefused
from batchpredict.formats import Damage, Rows, Run
from batchpredict.ledger import PartFile, Staging
from batchpredict.models import base64_object
from batchpredict.scoring.json_fields import field_texts
from batchpredict.scoring.place import Place

INSTANCE_LIMIT = 1000  # bytes of an instance that an error shows, as the service's log did
_MESSAGE_LIMIT = 2000  # characters of a message: some of TensorFlow's hold the whole record
_STATS_MESSAGE_LIMIT = 300
# Distinct messages that one manifest counts: more would only be messages that hold a record's own data.
_STATS_LIMIT = 100
_STATS_REST = "other errors"
# Errors are sorted by record while they wait for the model's verdict on records before them. When this many
# wait, they are written as they are: memory is worth more than order here.
_PENDING_LIMIT = 20_000
_MANY_PENDING = 1_000


class ErrorLog:
    """Collects the errors of one attempt and writes them in the order of the records.

    The file is created with the first error; a split without errors has none.
    """

    def __init__(self, staging: Staging, split: int, key_field: str | None) -> None:
        self._staging = staging
        self._name = staging.new_part(split, ".errors.jsonl")
        self._key_field = key_field
        self._file: Any = None
        self._bytes = 0
        self._pending: list[tuple[Place, str, bytes, int]] = []
        self._stats: Counter[str] = Counter()
        self.count = 0
        self.first: str | None = None

    def refuse(
        self, path: str, place: Place, run: Run | Rows, row: int, refused: RecordRefused, key: bytes | None = None
    ) -> None:
        """One instance failed; `row` is its position in `run`, and `key` the JSON text of its key."""
        entry: dict[str, Any] = {"offset": run.offset_of(row)}
        entry["code"], entry["message"] = refused.code, refused.message[:_MESSAGE_LIMIT]
        entry["instance"] = shown(run, row)
        if self._key_field is not None:
            key = _key_of(run, row, self._key_field) if key is None else key
            entry["key"] = None if key is None else orjson.Fragment(key)
        self._add(path, place, entry)

    def damaged(self, path: str, segment: int, damage: Damage) -> None:
        """A stretch of a file was lost, and with it as many records as it says."""
        entry: dict[str, Any] = {"offset": damage.offset, "code": damage.code, "message": damage.message}
        if damage.records > 1:
            entry["records"] = damage.records
        self._add(path, Place(segment, damage.index), entry, damage.records)

    def _add(self, path: str, place: Place, entry: dict[str, Any], records: int = 1) -> None:
        message = entry["message"]
        if self.first is None:
            self.first = f"{path} at byte {entry['offset']}: {message}"
        self.count += records
        line = orjson.dumps({"segment": place.segment, "index": place.record, **entry})
        bisect.insort(self._pending, (place, message, line, records))
        if len(self._pending) > _PENDING_LIMIT:
            self._write(len(self._pending))

    @property
    def waiting(self) -> bool:
        """Whether many errors wait for the verdict on records before them."""
        return len(self._pending) > _MANY_PENDING

    def _count(self, message: str, records: int) -> None:
        if message not in self._stats and len(self._stats) >= _STATS_LIMIT:
            message = _STATS_REST
        self._stats[message] += records

    def settle(self, place: Place) -> None:
        """Every record up to `place` has its verdict: what is known of them can be written."""
        self._write(bisect.bisect_right(self._pending, place, key=lambda entry: entry[0]))

    def _write(self, count: int) -> None:
        if not count:
            return
        if self._file is None:
            self._file = storage.open_write(self._staging.part(self._name))
        for _, message, _, records in self._pending[:count]:
            # Here and not when they are found: which messages are counted must not depend on the order of work.
            self._count(message[:_STATS_MESSAGE_LIMIT], records)
        block = b"".join(line + b"\n" for _, _, line, _ in self._pending[:count])
        del self._pending[:count]
        self._file.write(block)
        self._bytes += len(block)

    def close(self) -> PartFile | None:
        """Finish the file; None if there were no errors."""
        self._write(len(self._pending))
        if self._file is None:
            return None
        storage.close_written(self._file)
        return PartFile(self._name, self._bytes)

    def discard(self) -> None:
        if self._file is not None:
            storage.abandon(self._file)
            self._staging.discard(self._name)

    def stats(self) -> tuple[tuple[str, int], ...]:
        """The messages with their counts, the most frequent first. Complete once the log is closed."""
        return tuple(sorted(self._stats.items(), key=lambda item: (-item[1], item[0])))


def shown(run: Run | Rows, row: int) -> Any:
    """An instance as an error shows it: cut at 1 kB, text where it is text, else base64."""
    if isinstance(run, Rows):
        from batchpredict.scoring.arrow_values import row_json

        data = row_json(run.table, row)
    else:
        data = run.payloads[row]
    head = data[:INSTANCE_LIMIT]
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        # Only a sequence that the cut itself broke may be dropped.
        if len(data) > INSTANCE_LIMIT and error.start >= INSTANCE_LIMIT - 3:
            return head[: error.start].decode("utf-8")
        return base64_object(head)


def _key_of(run: Run | Rows, row: int, key_field: str) -> bytes | None:
    """The JSON text of the key of a record that never became an instance, where it can be had."""
    if isinstance(run, Rows):
        from batchpredict.scoring.arrow_values import names_of, to_json

        numbers = {name: number for number, name in enumerate(names_of(run.table))}
        if key_field not in numbers:
            return None
        return to_json(run.table.column(numbers[key_field]).slice(row, 1))[0]
    try:
        json.loads(run.payloads[row])
        text = field_texts(run.payloads[row]).get(key_field)
    except (ValueError, RecursionError):
        return None
    return None if text is None else bytes(text)
