"""Whole jobs whose model, inputs and results are on a store, also when that fails now and then."""

from __future__ import annotations

import gzip
import json

import pytest
import support
from stores.store import Store

from batchpredict import storage
from batchpredict.prediction.prepare import prepare
from batchpredict.prediction.request import Request
from batchpredict.scoring.task import Task


@pytest.fixture(params=[pytest.param("gcs", marks=pytest.mark.gcs), pytest.param("s3", marks=pytest.mark.s3)])
def store(request) -> Store:
    store: Store = request.getfixturevalue(request.param)
    return store


@pytest.fixture(params=["TEXT", "TF_RECORD"])
def sample(request, tmp_path) -> tuple[str, str, str]:
    """A format, a model, and a folder of three files with a bad record each, locally."""
    folder = tmp_path / "in"
    for number in range(3):
        rows = [str(100 * number + row) for row in range(100)]
        rows[7] = "bad"
        if request.param == "TEXT":
            support.write(folder / f"part-{number}", rows)
        else:
            support.write(folder / f"part-{number}", b"".join(support.frame(row.encode()) for row in rows))
    return request.param, support.model("double"), str(folder)


def both(sample: tuple[str, str, str], store: Store, tmp_path) -> tuple[support.Document, support.Document]:
    """The same job on local files, already done, and on the store."""
    data_format, model, folder = sample
    here = support.job(model, f"{folder}/*", str(tmp_path / "local"), data_format, splitBytes=150)
    support.score_in_process(here)
    base = store.folder()
    there = support.job(
        support.upload(model, f"{base}/model"),
        f"{support.upload(folder, f'{base}/in')}/part-*",
        f"{base}/out",
        data_format,
        splitBytes=150,
    )
    return here, there


def same(here: support.Document, there: support.Document) -> None:
    """The published files are the same, but for the names of the inputs in the errors."""
    outputs = [document["predictionInput"]["outputPath"] for document in (here, there)]
    local, remote = map(support.published, outputs)
    assert sorted(local) == sorted(remote)
    for name in local:
        if "errors" not in name:
            assert local[name] == remote[name], name
    strip = [{**error, "source": storage.name_of(error["source"])} for error in support.errors(outputs[0])]
    assert strip == [{**error, "source": storage.name_of(error["source"])} for error in support.errors(outputs[1])]


def test_a_job_on_a_store_gives_what_it_gives_locally(sample, store, tmp_path):
    here, there = both(sample, store, tmp_path)
    job = f"{storage.parent(there['predictionInput']['outputPath'])}/job.json"
    storage.replace_bytes(job, json.dumps(there).encode())
    found = support.run_cli("predict", "--job", job)
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (297, 3)
    same(here, there)
    again = support.run_cli("predict", "--job", job)
    assert again.stdout == found.stdout


def test_a_store_that_fails_every_tenth_time_costs_time_and_nothing_else(sample, store, tmp_path):
    here, there = both(sample, store, tmp_path)
    store.proxy.rate = 0.1
    output = support.score_in_process(there)
    met = dict(store.proxy.faults)
    store.proxy.reset()
    assert support.counts(output) == (297, 3)
    same(here, there)
    assert len(met) == 4, f"not every kind of fault was met: {met}"
    assert len(support.manifests(there)) >= 5


def test_a_failing_store_under_the_command(sample, store, tmp_path):
    here, there = both(sample, store, tmp_path)
    job = support.write_json(tmp_path / "job.json", there)
    store.proxy.rate = 0.1
    found = support.run_cli("predict", "--job", job, timeout=280)
    store.proxy.reset()
    assert found.returncode == 0, found.stderr
    assert support.counts(json.loads(found.stdout)) == (297, 3)
    same(here, there)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("flag", ["input-paths", "model-dir"])
def test_a_refusal_is_one_sentence_that_names_the_url(status, flag, store, tmp_path, out):
    store.proxy.refuse = status
    url = f"{store.folder()}/x"
    document = support.job(support.model("double"), support.write(tmp_path / "in", ["1"]), out)
    arguments = [one for one in support.flags(document) if not one.startswith(f"--{flag}=")]
    found = support.run_cli(*arguments, f"--{flag}={url}", timeout=40)
    assert found.returncode == 1
    assert f"--{flag}: " in found.stderr
    assert url in found.stderr
    assert len(found.stderr.splitlines()) == 1, found.stderr


def test_a_bucket_that_is_not_there_is_named(store, tmp_path, out):
    url = f"{store.bucket.partition('://')[0]}://no-such-bucket"
    document = support.job(support.model("double"), f"{url}/in/*", out)
    found = support.run_cli(*support.flags(document), timeout=40)
    assert (found.returncode, found.stdout) == (1, "")
    assert f"{url}/in/*" in found.stderr
    document = support.job(support.model("double"), support.write(tmp_path / "in", ["1"]), f"{url}/out")
    found = support.run_cli(*support.flags(document), timeout=40)
    assert (found.returncode, found.stdout) == (1, "")
    assert f"{url}/out" in found.stderr
    assert len(found.stderr.splitlines()) == 1, found.stderr


@pytest.mark.gcs
def test_a_thousand_objects_are_listed_in_few_requests(gcs):
    base = gcs.folder()
    # The emulator takes a while to be filled, the longer the more it has.
    names = [f"{number % 7}/part-{number:05d}" for number in range(1_000)]
    gcs.fill(base, names)
    gcs.proxy.reset()
    found = [file.url for file in storage.match([f"{base}/*/part-*"])]
    assert found == sorted(f"{base}/{name}" for name in names)
    # Two ask for an object whose name is the pattern, one for what is below that name, and one lists.
    assert sum(gcs.proxy.requests.values()) <= 4
    gcs.proxy.reset()
    wanted = [f"part-{number:05d}" for number in range(7, 700, 7)]
    assert sorted(storage.sizes_of(f"{base}/0", wanted)) == wanted
    assert sum(gcs.proxy.requests.values()) == 1


def test_a_lost_part_of_a_file_that_is_stored_compressed_is_scored_again_as_such():
    """What a manifest says of a file is less than what the plan says."""
    double = storage.Double()
    with double.mounted():
        source = double.put(f"{double.folder()}/in", gzip.compress(b"1\n2\n"), encoding="gzip")
        output = double.folder()
        prepared = prepare(Request(support.spec_of(support.job(support.model("double"), source, output))))
        predict = support.predictor_of(prepared)
        predict(Task(support.split(prepared, 0)))
        (part,) = storage.list_names(prepared.staging.parts)
        storage.delete(prepared.staging.part(part))
        assert support.counts(support.publish_prepared(prepared, predict)) == (2, 0)
        assert support.results(output) == [{"y": 2.0}, {"y": 4.0}]
