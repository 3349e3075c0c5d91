"""The errors of a split get their places in their files, or are not published."""

from __future__ import annotations

import json

import pytest

from batchpredict import storage
from batchpredict.errors import StagingDamaged
from batchpredict.ledger.error_parts import ErrorPart, first_error, publish_errors
from batchpredict.ledger.manifest import PartFile
from batchpredict.ledger.staging import Staging

LINE = b'{"segment":1,"index":2,"offset":30,"code":3,"message":"bad"}\n'


def published(double: storage.Double, data: bytes) -> bytes:
    staging = Staging(double.folder(), "f" * 16)
    double.put(staging.part("part"), data)
    part = ErrorPart(PartFile("part", len(data)), "errors", [("a", 5), ("b", 40)])
    sizes = publish_errors(staging, [part], numbered=True)
    found = storage.read_bytes(storage.join(staging.output_path, "errors"))
    assert sizes == {"errors": len(found)}
    return found


def test_records_count_from_the_beginning_of_their_file() -> None:
    double = storage.Double()
    with double.mounted():
        (line,) = published(double, LINE).splitlines()
    place = {"source": "b", "offset": 30, "index": 42, "line": 43}
    assert json.loads(line) == {**place, "code": 3, "message": "bad"}


def test_of_a_part_that_is_damaged_nothing_is_sent_to_the_store() -> None:
    double = storage.Double()
    with double.mounted(), pytest.raises(StagingDamaged, match="Errors of 'a' cannot be read"):
        published(double, LINE + LINE[:20])
    assert "upload" not in {operation for operation, _ in double.calls}


def test_a_part_that_has_lost_its_errors_has_no_first_one() -> None:
    double = storage.Double()
    with double.mounted():
        staging = Staging(double.folder(), "f" * 16)
        double.put(staging.part("part"), b"")
        with pytest.raises(StagingDamaged, match="Errors of 'a' cannot be read"):
            first_error(staging, PartFile("part", 60), [("a", 5)])
