"""What a job reads is what its inputs are: all of it, none of its own output, or one error of the job."""

from __future__ import annotations

import os
import threading

import pytest
import support
from hypothesis import given, settings
from hypothesis import strategies as st
from support import score_in_process

from batchpredict import storage
from batchpredict.errors import NoInput, OutputRefused
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task
from batchpredict.storage import double as doubles

DOUBLE = support.model("double")


@pytest.fixture
def double():
    """A store that fails as it is told, mounted."""
    store = storage.Double()
    with store.mounted():
        yield store


def lines(count: int) -> bytes:
    return "".join(f"{number}\n" for number in range(count)).encode()


# Errors of a store -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(text=st.one_of(st.sampled_from(doubles.TEXTS), st.text(max_size=20)), name=st.sampled_from(doubles.NAMES))
def test_a_store_that_refuses_a_read_fails_the_job_whatever_it_says(text, name):
    double = storage.Double()
    with double.mounted():
        url = double.put(f"double://in/{name}", lines(100))
        prepared = prepare(Request(support.spec_of(support.job(DOUBLE, url, "double://out"))))
        double.fail("read_range", PermissionError(text), name=url)
        with pytest.raises(NoInput, match=r"^inputPaths: .* cannot be read: ") as caught:
            support.predictor_of(prepared)(Task(support.split(prepared, 0)))
        assert name in str(caught.value)


def test_a_job_on_a_store_of_odd_names_gives_what_it_gives_locally(double, tmp_path, out):
    here = support.job(DOUBLE, support.write(tmp_path / "in", lines(100)), out, splitBytes=50)
    expected = score_in_process(here)
    for _ in doubles.NAMES:
        folder = double.folder()
        double.put(f"{folder}/in", lines(100))
        there = support.job(DOUBLE, f"{folder}/in", f"{folder}/out", splitBytes=50)
        assert support.counts(score_in_process(there)) == support.counts(expected)
        assert support.results(f"{folder}/out") == support.results(out)


# Files that are shorter than planned -----------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", ["TEXT", "TF_RECORD", "TF_RECORD_GZIP", "PARQUET"])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("place", ["local", "double"])
def test_a_file_that_is_cut_off_is_an_error_of_the_job(data_format, left, place, tmp_path, double, out):
    data = sample(data_format)
    folder = str(tmp_path / "in") if place == "local" else double.folder()
    url = f"{folder}/x"
    storage.replace_bytes(url, data)
    prepared = prepare(Request(support.spec_of(support.job(DOUBLE, url, out, data_format))))
    short = data[: int(left * len(data))]
    storage.replace_bytes(url, short)
    sizes = rf"had {len(data)} bytes and has {len(short)} now"
    with pytest.raises(NoInput, match=rf"/x' has changed since the job was planned \(it {sizes}\)"):
        support.predictor_of(prepared)(Task(support.split(prepared, 0)))
    assert support.committed(prepared.staging) == []


def sample(data_format: str) -> bytes:
    import gzip
    import io

    rows = [str(number) for number in range(2000)]
    if data_format == "PARQUET":
        import pyarrow as pa
        import pyarrow.parquet

        file = io.BytesIO()
        pa.parquet.write_table(pa.table({"x": [float(row) for row in rows]}), file)
        return file.getvalue()
    if data_format == "TEXT":
        return "\n".join(rows).encode()
    frames = b"".join(support.frame(row.encode()) for row in rows)
    return gzip.compress(frames) if data_format == "TF_RECORD_GZIP" else frames


def test_a_store_that_sends_nothing_of_what_it_has_is_an_error_of_the_job(double, out, monkeypatch):
    url = double.put(f"{double.folder()}/x", lines(100))
    prepared = prepare(Request(support.spec_of(support.job(DOUBLE, url, out))))
    monkeypatch.setattr(double, "read_range", lambda url, start, end: b"")
    with pytest.raises(NoInput, match="cannot be read: it is shorter than it was"):
        support.predictor_of(prepared)(Task(support.split(prepared, 0)))


# Attempts that fail ----------------------------------------------------------------------------------------------


def test_the_part_of_an_attempt_that_fails_is_not_sent_and_hides_no_error(double):
    folder = double.folder()
    url = double.put(f"{folder}/x", b"bad\n" * 10 + lines(100))
    prepared = prepare(Request(support.spec_of(support.job(DOUBLE, url, f"{folder}/out"))))
    double.calls.clear()
    double.fail("read_range", PermissionError("not for you"), name=url)
    double.after = refusing("upload", "delete")
    with pytest.raises(NoInput, match="not for you"):
        support.predictor_of(prepared)(Task(support.split(prepared, 0)))
    assert "upload" not in {operation for operation, _ in double.calls}


def test_a_part_that_cannot_be_deleted_hides_nothing(double):
    folder = double.folder()
    url = double.put(f"{folder}/x", b"bad\n" + lines(100))
    document = support.job(DOUBLE, url, f"{folder}/out")
    prepared = prepare(Request(support.spec_of(document)))
    predict = support.predictor_of(prepared)
    assert predict(Task(support.split(prepared, 0))) is not None
    double.before = refusing("delete")
    assert predict(Task(support.split(prepared, 0))) is None
    changed = double.put(url, lines(3))
    with pytest.raises(NoInput, match=f"{storage.name_of(changed)}' has changed"):
        predict(Task(support.split(prepared, 0)))


def refusing(*operations: str):
    def hook(operation: str, url: str) -> None:
        if operation in operations:
            raise OSError(f"no {operation} today")

    return hook


# The own output --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["in/**", "in/**/*.json", "in/*/*", "in/**/_*/**", "in/out/_batchpredict/**/*"])
@pytest.mark.parametrize("place", ["local", "memory", "double", "link"])
def test_a_job_does_not_read_what_it_writes(pattern, place, tmp_path, memory, double):
    base = {"memory": memory, "double": double.folder()}.get(place, str(tmp_path / "base"))
    for name in ("in/a/x.json", "in/out/_batchpredict/../y.json", "in/out/sub/z.json"):
        storage.replace_bytes(storage.join(base, name.replace("_batchpredict/../", "")), lines(5))
    output = storage.join(base, "in/out")
    if place == "link":
        os.symlink(output, tmp_path / "link")
        output = str(tmp_path / "link")
    document = support.job(DOUBLE, storage.join(base, pattern), output)
    if "_" in pattern:
        # Nothing but the job's own staging is spelled there.
        for _ in range(2):
            with pytest.raises(NoInput, match="matches no file"):
                score_in_process(document)
            storage.replace_bytes(storage.join(base, "in/out/_batchpredict/0123456789abcdef/plan.json"), b"{}")
        return
    first = score_in_process(document)
    assert support.counts(first)[0] in (10, 15)
    assert score_in_process(document) == first
    prepared = prepare(Request(support.spec_of(document)))
    assert prepared.plan.bytes == support.counts(first)[0] * 2


def test_an_interrupted_job_that_reads_past_its_output_resumes(tmp_path):
    support.write(tmp_path / "in" / "x.json", lines(100))
    out = str(tmp_path / "in" / "out")
    document = support.job(DOUBLE, f"{tmp_path}/in/**", out, splitBytes=50)
    prepared = prepare(Request(support.spec_of(document)))
    support.predictor_of(prepared)(Task(support.split(prepared, 0)))
    score_in_process(document)
    assert prepare(Request(support.spec_of(document))).staging.fingerprint == prepared.staging.fingerprint
    assert os.listdir(os.path.join(out, "_batchpredict")).count(prepared.staging.fingerprint) == 1


@pytest.mark.parametrize("pattern", ["out/prediction.results-*", "out/*", "out/prediction.errors-00000-of-00001"])
def test_results_that_are_asked_for_are_refused(pattern, tmp_path):
    support.write(tmp_path / "out" / "prediction.results-00000-of-00001", lines(3))
    with pytest.raises(OutputRefused, match="would read the results of this one"):
        score_in_process(support.job(DOUBLE, f"{tmp_path}/{pattern}", str(tmp_path / "out")), overwrite=True)


@pytest.mark.parametrize("name", ["run*", "run?", "run[1]", "a::b"])
@pytest.mark.parametrize("place", ["local", "memory", "double"])
def test_an_output_path_is_a_name(name, place, tmp_path, memory, double):
    base = {"memory": memory, "double": double.folder()}.get(place, str(tmp_path / "base"))
    source = storage.join(base, "x.json")
    storage.replace_bytes(source, lines(20))
    for other in ("run1", "run2", "run", "a", "b"):
        storage.replace_bytes(storage.join(base, other, "prediction.results-00000-of-00001"), b"theirs")
        storage.replace_bytes(storage.join(base, other, "_batchpredict/owner.json"), b"theirs")
    before = {path: storage.read_bytes(file.url) for path, file in storage.tree(base).items()}
    output = storage.join(base, name)
    for batch in (10, 20):
        document = support.job(DOUBLE, source, output, batchSize=str(batch), splitBytes=20)
        assert support.counts(score_in_process(document, overwrite=True)) == (20, 0)
    after = storage.tree(base)
    assert {path: storage.read_bytes(after[path].url) for path in before} == before
    assert all(path in before or path.startswith(f"{name}/") for path in after)


def test_concurrent_jobs_do_not_share_a_double():
    """Each is a store of its own, also under one scheme and in threads."""
    with storage.Double("a").mounted(), storage.Double("b").mounted():
        threads = [
            threading.Thread(target=storage.replace_bytes, args=(f"{scheme}://x", scheme.encode()))
            for scheme in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [storage.read_bytes(f"{scheme}://x") for scheme in "ab"] == [b"a", b"b"]
