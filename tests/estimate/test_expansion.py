"""What a compressed file expands to is told by its beginning, and in little memory."""

from __future__ import annotations

import bz2
import gzip
import random
import tracemalloc

import pytest
import support

from batchpredict.errors import NoInput
from batchpredict.estimate.amounts import Amounts
from batchpredict.estimate.sampled import Span
from batchpredict.formats import Segment, input_format


def bytes_of(path: str, size: int, read: int) -> float:
    """The stored bytes for which so many that were read stand."""
    return Amounts(input_format("TEXT")).bytes_of(Span(Segment(path, 0, size, size), 1, 0, read, False))


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_members_that_follow_each_other_count_alike(tmp_path, suffix, compress):
    texts = ["".join(random.Random(seed).choices("0123456789\n", k=50_000)).encode() for seed in range(3)]
    stored = b"".join(map(compress, texts))
    path = support.write(tmp_path / f"in{suffix}", stored)
    assert bytes_of(path, len(stored), 150_000) == pytest.approx(len(stored), rel=0.001)


def test_what_expands_a_thousandfold_is_not_held(tmp_path):
    stored = gzip.compress(bytes(64 << 20))
    path = support.write(tmp_path / "in.gz", stored)
    tracemalloc.start()
    try:
        assert bytes_of(path, len(stored), 64 << 20) == pytest.approx(len(stored), rel=0.05)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_file_that_is_gone_is_an_error_of_the_job(tmp_path):
    with pytest.raises(NoInput, match=r"^inputPaths: '.*in\.gz' cannot be read"):
        bytes_of(f"{tmp_path}/in.gz", 100, 10)
