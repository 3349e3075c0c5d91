"""A sampler is the predictor of a job that may end early, and knows what it read and what that took."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import orjson
import pytest
import support

from batchpredict import storage
from batchpredict.errors import RECORD_TOO_LARGE
from batchpredict.estimate.amounts import Amounts
from batchpredict.estimate.sampled import Measured, SampleTask
from batchpredict.estimate.sampler import Sampler
from batchpredict.formats import Segment, Split
from batchpredict.ledger import Staging
from batchpredict.scoring.task import Unwatched

LINES = [f"{100_000 + number}.5" for number in range(10_000)]


class Sampling:
    """A sampler of a job over one file, in this process."""

    def __init__(self, folder: Any, path: str, data_format: str = "TEXT", **fields: Any) -> None:
        document = support.job(support.model("double"), path, str(folder / "scratch"), data_format, **fields)
        self.spec = support.spec_of(document)
        self.staging = Staging(self.spec.output_path, "sample")
        loaded = support.loaded(self.spec.model_uri)
        self.sampler = Sampler(self.spec, self.staging, loaded, watch=Unwatched(), load_seconds=0.0)
        self.amounts = Amounts(self.spec.input)
        self.size = storage.size_of(path)
        self.whole = Segment(path, 0, self.size, self.size)
        self._number = 0

    def __call__(self, segment: Segment | None = None, **limits: Any) -> Measured:
        self._number += 1
        found = self.sampler(SampleTask(Split(self._number, (segment or self.whole,)), **limits))
        assert isinstance(found, Measured)
        return found

    def results(self, measured: Measured) -> list[Any]:
        data = storage.read_bytes(self.staging.part(measured.results.name))
        return [orjson.loads(line)["y"] for line in data.splitlines()]


@pytest.fixture(scope="module")
def sampling(tmp_path_factory) -> Sampling:
    folder = tmp_path_factory.mktemp("sampling")
    return Sampling(folder, support.write(folder / "in.json", LINES))


def test_so_many_records_from_a_place_within_a_file(sampling):
    place = replace(sampling.whole, start=3 * 9 + 4)
    found = sampling(place, rows=5)
    assert sampling.results(found) == [2 * (100_000.5 + number) for number in range(4, 9)]
    (span,) = found.spans
    assert (span.records, span.begin, span.end, span.complete) == (5, 36, 81, False)
    assert sampling.amounts.bytes_of(span) == 45


def test_what_is_read_to_its_end_stands_for_all_of_its_bytes(sampling):
    found = sampling(replace(sampling.whole, start=90, end=180), rows=500)
    (span,) = found.spans
    assert (found.records, span.complete, sampling.amounts.bytes_of(span)) == (10, True, 90)


def test_no_longer_than_it_may(sampling):
    found = sampling(seconds=0.0, run_rows=64)
    assert found.records == 64
    assert sampling(seconds=0.0, run_rows=64, at_least=200).records == 256


def test_again_from_the_beginning(sampling):
    found = sampling(replace(sampling.whole, end=90), seconds=0.0, at_least=35, repeat=True)
    assert (found.records, found.spans) == (40, ())


def test_another_batch_size(sampling):
    found = sampling(rows=1000, batch_size=100)
    assert (found.batch_max, found.batch_calls) == (100, 10)
    assert sampling(rows=1000).batch_max == sampling.spec.batch_size


def test_where_the_time_goes(sampling):
    found = sampling()
    stages = found.stages
    assert found.records == len(LINES)
    assert min(stages.read, stages.decode, stages.model, stages.write, stages.commit) > 0
    assert stages.loop + stages.commit == pytest.approx(found.node_seconds, abs=0.01)
    assert found.peak_bytes > 10 << 20
    assert found.signature == sampling.sampler._signature


def test_the_results_are_those_of_a_job(sampling, out):
    document = support.job(sampling.spec.model_uri, sampling.whole.path, out)
    support.score_in_process(document)
    job = b"".join(support.read(out, name) for name in support.result_names(out))
    sample = storage.read_bytes(sampling.staging.part(sampling().results.name))
    assert sample == job


def test_failed_records_count_and_are_named(tmp_path):
    path = support.write(tmp_path / "in.json", ["1", "bad", "3", "[]", "5"])
    sampling = Sampling(tmp_path, path)
    found = sampling(rows=4)
    assert (found.predictions, found.error_count, found.spans[0].records) == (2, 2, 4)
    assert found.errors is not None
    lines = storage.read_bytes(sampling.staging.part(found.errors.name)).splitlines()
    assert [orjson.loads(line)["offset"] for line in lines] == [2, 8]


def test_damage_takes_the_place_of_a_record(tmp_path):
    path = support.write(tmp_path / "in.json", ["1", "2" * 2000, "3", "4"])
    sampling = Sampling(tmp_path, path, maxRecordBytes="1000")
    found = sampling(rows=3)
    assert (found.predictions, found.error_count) == (2, 1)
    assert found.errors is not None
    assert RECORD_TOO_LARGE in storage.read_bytes(sampling.staging.part(found.errors.name)).decode()


# Which bytes of a file stand for what was read -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["in.json.gz", "in.json"])
def test_of_a_compressed_file_by_what_its_beginning_expands_to(tmp_path, name):
    data = "".join(f"{line}\n" for line in LINES).encode()
    path = support.write(tmp_path / name, gzip.compress(data) if name.endswith(".gz") else data)
    sampling = Sampling(tmp_path, path)
    whole = sampling()
    assert sampling.amounts.bytes_of(whole.spans[0]) == sampling.size
    half = sampling(rows=5000)
    assert sampling.amounts.bytes_of(half.spans[0]) == pytest.approx(sampling.size / 2, rel=0.01)
    assert sampling.amounts.anywhere(sampling.whole) == (name == "in.json")


def parquet(path: Any, rows: int) -> str:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"x": pyarrow.array([float(number) for number in range(rows)], pyarrow.float32())})
    pyarrow.parquet.write_table(table, str(path), row_group_size=1000)
    return str(path)


def test_records_of_parquet_files_are_known_by_their_footers(tmp_path):
    sampling = Sampling(tmp_path, parquet(tmp_path / "a.parquet", 5000), "PARQUET")
    found = sampling(rows=50)
    assert found.predictions == 50
    assert sampling.amounts.bytes_of(found.spans[0]) == pytest.approx(sampling.size / 100)
    other = parquet(tmp_path / "b.parquet", 300)
    files = [(sampling.whole.path, sampling.size), (other, storage.size_of(other))]
    total = sum(size for _, size in files)
    records = sampling.amounts.records(found.spans, total, lambda: files)
    assert (records.count.estimate, records.count.exact) == (5300, True)
    assert records.how == "by the footers of all 2 files"


def test_records_of_text_by_their_mean_size(sampling):
    spans = [sampling(replace(sampling.whole, start=at), rows=10).spans[0] for at in (0, 9_000, 45_000)]
    records = sampling.amounts.records(spans, sampling.size, list)
    assert records.count.estimate == pytest.approx(len(LINES))
    assert records.how == "by the mean size of 30 records at 3 places"
    (all_of_it,) = sampling().spans
    records = sampling.amounts.records([all_of_it], sampling.size, list)
    assert (records.count.estimate, records.count.exact, records.how) == (len(LINES), True, "all of them were read")
