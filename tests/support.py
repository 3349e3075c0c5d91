"""What the tests of whole jobs share: where the data is, how a job is run, and what it left in its folder.

A job runs in one of two ways. `score_in_process` does all that a job does but for the worker processes and
Beam, so a thousand of them cost one import of TensorFlow. `run_cli` is the command as a user runs it.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psutil
import pytest

from batchpredict import storage
from batchpredict.formats import Split
from batchpredict.formats.framing import mask
from batchpredict.job import Job, PredictionOutput
from batchpredict.ledger.finished import finished_output
from batchpredict.ledger.manifest import Manifest
from batchpredict.ledger.plan import Plan, read_page
from batchpredict.ledger.publish import publish_all
from batchpredict.ledger.published import owner_of
from batchpredict.ledger.spec import PredictionSpec
from batchpredict.ledger.staging import Staging
from batchpredict.prediction.prepare import Prepared, left_of_page, prepare
from batchpredict.prediction.request import Request
from batchpredict.prediction.work import PredictionWork
from batchpredict.scoring.hotpath import SplitPredictor
from batchpredict.scoring.task import Task

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTDATA = os.path.join(ROOT, "testdata")
DIGITS = os.path.join(TESTDATA, "digits")
DIGITS_MODEL = os.path.join(DIGITS, "model")
MODELS = os.path.join(TESTDATA, "models")

ROWS = 1797
"""Rows of the digits, in every format."""

Document = dict[str, Any]


def digits(*parts: str) -> str:
    return os.path.join(DIGITS, *parts)


def model(name: str) -> str:
    return os.path.join(MODELS, name)


def job(uri: str, inputs: str | Iterable[str], output: str, data_format: str = "TEXT", **fields: Any) -> Document:
    """A Job resource; `fields` are further ones of predictionInput, under their wire names."""
    source = {
        "uri": uri,
        "inputPaths": [inputs] if isinstance(inputs, str) else list(inputs),
        "outputPath": str(output),
        "dataFormat": data_format,
        "region": "local",
        **fields,
    }
    return {"jobId": "test_job", "predictionInput": source}


def spec_of(document: Document) -> PredictionSpec:
    return PredictionSpec.of(Job.submitted(document))


def work(document: Document, **wishes: Any) -> PredictionWork:
    """The work of a job, as runners carry it."""
    return PredictionWork(Request(spec_of(document), **wishes))


@functools.cache
def loaded(uri: str, signature_name: str | None = None) -> Any:
    """A model as a worker holds it, loaded once in this process."""
    from batchpredict.models.fetch import fetch_model
    from batchpredict.models.saved_model import SavedModel

    return SavedModel(fetch_model(uri), signature_name)


@functools.cache
def signature(uri: str, name: str = "serving_default") -> Callable[..., Mapping[str, Any]]:
    """A signature as TensorFlow gives it, which is what our results are held against."""
    import tensorflow as tf

    module = tf.saved_model.load(uri)
    function = module.signatures[name]

    def call(**columns: Any) -> Mapping[str, Any]:
        assert module is not None  # keeps the variables alive
        return {alias: value.numpy() for alias, value in function(**columns).items()}

    return call


def predictor_of(prepared: Prepared) -> SplitPredictor:
    spec = prepared.request.spec
    return SplitPredictor(spec, prepared.staging, loaded(spec.model_uri, spec.signature_name))


def score_in_process(
    document: Document,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    order: Callable[[list[Split]], Iterable[Split]] = list,
) -> PredictionOutput:
    """Run a job in this process: plan, score each split in `order`, publish."""
    prepared = prepare(Request(spec_of(document), overwrite=overwrite, fresh=fresh))
    if prepared.done is not None:
        return prepared.done
    predict = predictor_of(prepared)
    for split in order(list(todo(prepared))):
        predict(Task(split))
    return publish_prepared(prepared, predict, overwrite=overwrite)


def todo(prepared: Prepared) -> Iterator[Split]:
    """The splits that nobody has committed yet, read as they are needed."""
    for page in prepared.plan.pages:
        yield from left_of_page(prepared.staging, prepared.plan, page)


def split(prepared: Prepared, number: int) -> Split:
    """One split of a stored plan."""
    page, place = divmod(number, prepared.plan.page_splits)
    return list(read_page(prepared.staging, prepared.plan, page))[place]


def publish_prepared(
    prepared: Prepared, predict: SplitPredictor | None = None, *, overwrite: bool = False
) -> PredictionOutput:
    def redo(split: Split, start: int | None) -> None:
        assert predict is not None, "a split would be read again where that was not expected"
        predict(Task(split, forced_start=start))

    spec, staging = prepared.request.spec, prepared.staging
    return publish_all(spec, staging, prepared.plan, overwrite=overwrite, redo=redo)


def planned(document: Document) -> tuple[Plan, Staging]:
    """The plan and the staging folder of a job, whether or not it has run."""
    from batchpredict.ledger.plan import make_plan
    from batchpredict.models.fetch import model_digest

    spec = spec_of(document)
    with make_plan(spec, model_digest(spec.model_uri)) as draft:
        return draft.plan, Staging(spec.output_path, draft.plan.fingerprint)


def outcome(output: str) -> PredictionOutput:
    """What the job came to whose results an output folder holds."""
    owner = owner_of(output)
    assert owner is not None, f"nobody has published in {output}"
    found = finished_output(Staging(output, owner))
    assert found is not None, f"the job in {output} is not finished"
    return found


def manifests(document: Document) -> list[Manifest]:
    """Every manifest of a job, those of repeated splits too."""
    _, staging = planned(document)
    return list(staging.read_all(committed(staging)))


_MANIFEST_NAME = re.compile(r"(\d{8,})(?:@(\d+))?\.json")


def committed(staging: Staging) -> list[tuple[int, int | None]]:
    """Split number and forced start of every manifest, in order of the splits."""
    found = (_MANIFEST_NAME.fullmatch(name) for name in storage.list_names(staging.manifests))
    keys = [(int(name[1]), int(name[2]) if name[2] else None) for name in found if name]
    return sorted(keys, key=lambda key: (key[0], key[1] is not None, key[1] or 0))


# The command --------------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "batchpredict", *map(str, arguments)]


NO_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}
"""For workers whose model asks for more memory than there is: where TensorFlow uses oneDNN, by itself on some
processors, its allocator waits ten seconds before it says so."""


def run_cli(
    *arguments: str, cwd: str | None = None, timeout: float = 120, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the `batchpredict` command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `run_cli` gives, of the command in this process: for calls that begin nothing, which are quicker so."""
    from batchpredict.cli import main

    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    out, err = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, status, out, err)


def flags(document: Document) -> list[str]:
    """The command line of a job that has no more than flags can say."""
    names = {
        "uri": "model-dir",
        "inputPaths": "input-paths",
        "outputPath": "output-path",
        "dataFormat": "data-format",
        "splitBytes": "split-bytes",
        "batchSize": "batch-size",
        "maxWorkerCount": "max-worker-count",
        "maxErrors": "max-errors",
    }
    arguments = ["predict"]
    for field, value in document["predictionInput"].items():
        if field in names:
            text = ",".join(value) if isinstance(value, list) else str(value)
            arguments.append(f"--{names[field]}={text}")
    return arguments


def write_json(path: str, document: Any) -> str:
    with open(path, "w") as file:
        json.dump(document, file)
    return str(path)


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of a driver that runs."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return any("workers.worker" in part for part in process.cmdline())
    except psutil.Error:
        return False


def wait_until(condition: Callable[[], Any], seconds: float = 60, what: str = "the condition") -> Any:
    """Poll until something is true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; one that has ended and waits for its parent does not."""
    running = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
        except psutil.NoSuchProcess:
            pass
    return running


# What a job has published


def names(output: str, prefix: str = "") -> list[str]:
    """Names of the files in an output folder, in order; `prefix` is what follows `prediction.`."""
    return [
        name
        for name in storage.list_names(str(output))
        if name.startswith(f"prediction.{prefix}" if prefix else "")
    ]


def result_names(output: str) -> list[str]:
    return names(output, "results-")


def error_names(output: str) -> list[str]:
    return names(output, "errors-")


def read(output: str, name: str) -> bytes:
    return storage.read_bytes(storage.join(str(output), name))


def lines(output: str) -> list[bytes]:
    """The lines of all JSON or CSV results, in order."""
    return b"".join(read(output, name) for name in result_names(output)).splitlines()


def results(output: str) -> list[Any]:
    """The predictions of a job with JSON output, in order of name and line."""
    return [json.loads(line) for line in lines(output)]


def errors(output: str) -> list[Document]:
    """The failed instances, in order of name and line."""
    found = b"".join(read(output, name) for name in error_names(output))
    return [json.loads(line) for line in found.splitlines()]


def stats(output: str) -> list[tuple[str, int]]:
    """The pairs of message and count that the error statistics hold."""
    return [
        ast.literal_eval(line)
        for line in read(output, "prediction.errors_stats-00000-of-00001").decode().splitlines()
    ]


def published(output: str) -> dict[str, bytes]:
    """Every file that a reader of the output sees."""
    return {name: read(output, name) for name in names(output)}


def counts(output: PredictionOutput | Document) -> tuple[int, int]:
    """Predictions and errors."""
    if isinstance(output, PredictionOutput):
        return output.prediction_count or 0, output.error_count or 0
    return int(output["predictionCount"]), int(output["errorCount"])


# Inputs


def upload(folder: str, target: str) -> str:
    """Put a folder where a URL says, and give the URL."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                storage.replace_bytes(storage.join(target, os.path.relpath(path, folder)), file.read())
    return target


def write(path: Any, data: bytes | str | Iterable[str]) -> str:
    """Write an input file; strings are lines."""
    if not isinstance(data, bytes):
        data = data.encode() if isinstance(data, str) else "".join(f"{line}\n" for line in data).encode()
    storage.replace_bytes(str(path), data)
    return str(path)


def frame(payload: bytes) -> bytes:
    """A payload as a TFRecord file holds it."""
    import google_crc32c

    length = len(payload).to_bytes(8, "little")

    def checksum(data: bytes) -> bytes:
        return mask(google_crc32c.value(data)).to_bytes(4, "little")

    return length + checksum(length) + payload + checksum(payload)


def example(values: Sequence[float]) -> bytes:
    """A serialized tf.Example of one packed float feature `x`, made without importing TensorFlow."""
    data = struct.pack(f"<{len(values)}f", *values)
    for tag in (b"\x0a", b"\x12"):  # FloatList.value, Feature.float_list
        data = tag + bytes([len(data)]) + data
    entry = b"\x0a\x01x\x12" + bytes([len(data)]) + data
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features
