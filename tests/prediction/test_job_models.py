"""Whole jobs with models of every kind that TensorFlow Serving loads, in every input format that applies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from support import frame, run_cli, score_in_process

from batchpredict.errors import ModelUnusable

FORMATS = ["TEXT", "TF_RECORD", "PARQUET"]

Rows = Mapping[str, list[Any]]


@pytest.fixture
def write(tmp_path) -> Callable[[Rows, str], str]:
    """Instances, given by their columns, as a file of a format."""

    def write(columns: Rows, data_format: str) -> str:
        path = str(tmp_path / "in")
        if data_format == "PARQUET":
            pq.write_table(pa.table({name: _column(values) for name, values in columns.items()}), path)
            return path
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        texts = [json.dumps(row).encode() for row in rows]
        return support.write(path, b"\n".join(texts) if data_format == "TEXT" else b"".join(map(frame, texts)))

    return write


def _column(values: list[Any]) -> Any:
    column = pa.array(values)
    return column.cast(pa.float32()) if pa.types.is_floating(column.type) else column


COUNT = 21
XS = [float(number) for number in range(COUNT)]
WORDS = [["w", str(number)][: number % 3] for number in range(COUNT)]
VALUES = [[0.5] * (number % 4) for number in range(COUNT)]
SCORED: dict[str, tuple[str, str | None, Rows, list[dict[str, Any]]]] = {
    "reference variables": (
        "reference_outputs",
        None,
        {"x": XS},
        [{"weights": [2.0, 3.0], "y": 2 * x} for x in XS],
    ),
    "a shape that the graph knows": (
        "regress_shapes",
        "unknown",
        {"inputs": [[x, 1.0, 1.0] for x in XS]},
        [{"outputs": 2 * x + 4} for x in XS],
    ),
    "a shape that the signature contradicts": (
        "regress_shapes",
        "scalar",
        {"inputs": [[x, 1.0, 1.0] for x in XS]},
        [{"outputs": 2 * x + 4} for x in XS],
    ),
    "sparse inputs": (
        "transform_sparse",
        None,
        {"values": VALUES, "words": WORDS, "x": XS},
        [
            {"count": len(words), "first": words[0] if words else "", "scaled": x / 2, "total": sum(values)}
            for x, words, values in zip(XS, WORDS, VALUES, strict=True)
        ],
    ),
    "a table of an asset": (
        "table_of_assets",
        None,
        {"x": list(range(COUNT))},
        [{"word": ["zero", "one"][number] if number < 2 else "?"} for number in range(COUNT)],
    ),
    "names that Python keeps": (
        "python_words",
        None,
        {"class": XS, "from": XS, "self": XS},
        [{"lambda": 3 * x} for x in XS],
    ),
    "outputs without a batch dimension": (
        "without_batch",
        "labels",
        {"x": XS},
        [{"labels": ["a", "b", "c"], "version": 7, "y": 2 * x} for x in XS],
    ),
    "an input without a batch dimension": (
        "without_batch",
        "threshold",
        {"threshold": [3.0 * (number % 3) for number in range(COUNT)], "x": XS},
        [{"y": float(x > 3.0 * (number % 3))} for number, x in enumerate(XS)],
    ),
    "no batch dimension at all": (
        "without_batch",
        "records",
        {"a": XS, "b": [2.0] * COUNT},
        [{"pair": [x, 2.0], "product": 2 * x} for x in XS],
    ),
    "quantized numbers": ("odd_types", "qint8", {"x": list(range(COUNT))}, [{"y": n} for n in range(COUNT)]),
    "half floats": ("odd_types", "bfloat16", {"x": XS}, [{"y": x} for x in XS]),
    "an unknown rank": ("odd_types", "unknown_rank", {"x": XS}, [{"y": x} for x in XS]),
}


@pytest.mark.parametrize("batch", [1, 4, 64])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kind", SCORED)
def test_the_model_is_scored(kind, data_format, batch, write, memory):
    name, signature, columns, expected = SCORED[kind]
    fields = {"batchSize": batch, **({"signatureName": signature} if signature else {})}
    source = write(columns, data_format)
    output = score_in_process(support.job(support.model(name), source, memory, data_format, **fields))
    assert support.errors(memory) == []
    assert support.counts(output) == (COUNT, 0)
    assert support.results(memory) == expected


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_keras_2_model_with_its_optimizer_is_scored(data_format, write, memory):
    source = write({"x": [[x, 1.0] for x in XS]}, data_format)
    output = score_in_process(support.job(support.model("keras2_optimizer"), source, memory, data_format))
    assert support.counts(output) == (COUNT, 0)
    ys = np.array([row["y"][0] for row in support.results(memory)])
    assert np.allclose(np.diff(ys), ys[1] - ys[0], atol=1e-5)


@pytest.mark.parametrize("output_format", ["JSON", "CSV", "PARQUET"])
def test_an_output_that_every_row_is_given_fits_every_output_format(output_format, write, memory):
    fields: dict[str, Any] = {"signatureName": "labels", "outputDataFormat": output_format, "batchSize": 2}
    document = support.job(support.model("without_batch"), write({"x": XS}, "TEXT"), memory, **fields)
    assert support.counts(score_in_process(document)) == (COUNT, 0)


def test_a_file_that_a_record_names_and_that_is_not_there_costs_that_record(tmp_path, write, memory):
    there = support.write(tmp_path / "there", b"content")
    source = write({"path": [there, "/not/there", there], "tag": ["a", "b", "c"]}, "TEXT")
    fields: dict[str, Any] = {"signatureName": "files", "batchSize": 3}
    output = score_in_process(support.job(support.model("statuses"), source, memory, **fields))
    assert support.counts(output) == (2, 1)
    (error,) = support.errors(memory)
    assert (error["index"], error["code"]) == (1, "FAILED_TO_RUN_MODEL")


def test_an_internal_error_of_one_record_costs_that_record(write, memory):
    xs = [1.0] * 40
    xs[13] = -1.0
    fields: dict[str, Any] = {"signatureName": "internal", "batchSize": 8}
    document = support.job(support.model("statuses"), write({"x": xs}, "TEXT"), memory, **fields)
    assert support.counts(score_in_process(document)) == (39, 1)
    assert [error["index"] for error in support.errors(memory)] == [13]


UNUSABLE = {
    "no kernel": ("no_kernel", None, "has no kernel for its op NcclAllReduce (reduce) on CPU."),
    "no kernel in a function": (
        "no_kernel_in_function",
        None,
        "has no kernel for its op NcclAllReduce (reduce) on CPU.",
    ),
    "no such op": ("no_such_op", None, "it has the op FancyActivation, which TensorFlow"),
    "an uninitialised variable": ("not_initialized", "variable", "Attempting to use uninitialized value local"),
    "an uninitialised table": ("not_initialized", "table", "Table not initialized."),
    "a kernel that lacks a case": ("statuses", "channels_first", "its op MaxPool (pool) failed"),
    "a sum over the batch": ("without_batch", "total", "Output total of signature total has no batch dimension"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_wrong_with_the_model_fails_the_job_before_a_record_is_an_error(kind, write, memory):
    name, signature, reason = UNUSABLE[kind]
    xs: list[Any] = [[[[1.0, 2.0], [3.0, 4.0]]]] * COUNT if signature == "channels_first" else XS
    fields: dict[str, Any] = {"signatureName": signature} if signature else {}
    with pytest.raises(ModelUnusable) as caught:
        score_in_process(support.job(support.model(name), write({"x": xs}, "TEXT"), memory, **fields))
    assert reason in str(caught.value)
    assert support.result_names(memory) == []


class TestCommand:
    """The same as a user sees it: worker processes, warnings, exit status."""

    def test_a_model_without_a_kernel_ends_the_job_with_one_sentence(self, write, out):
        document = support.job(support.model("no_kernel_in_function"), write({"x": XS}, "TEXT"), out)
        finished = run_cli(*support.flags(document))
        assert finished.returncode == 1
        assert "has no kernel for its op NcclAllReduce (reduce) on CPU." in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_a_batch_that_is_too_large_is_halved_and_a_lone_record_is_an_error(self, write, out):
        xs = [float(number) for number in range(200)]
        xs[30] = -1.0
        document = support.job(support.model("memory_hungry"), write({"x": xs}, "TEXT"), out, batchSize=64)
        finished = run_cli(*support.flags(document), env=support.NO_ONEDNN)
        assert finished.returncode == 0
        assert finished.stderr.count("the device's memory does not hold a whole batch") == 1
        (error,) = support.errors(out)
        assert error["index"] == 30
        assert "The device's memory does not hold a model call of 1 records" in error["message"]
        assert [row["y"] for row in support.results(out)] == [x for x in xs if x >= 0]

    @pytest.mark.long
    def test_a_broken_device_is_tried_again_in_fresh_processes_and_then_fails_the_job(self, write, out):
        source = write({"x": [-1.0] * 40}, "TEXT")
        arguments = support.flags(
            support.job(support.model("statuses"), source, out, batchSize=8, maxWorkerCount=1)
        )
        finished = run_cli(*arguments, "--signature-name=internal")
        assert finished.returncode == 1
        assert finished.stderr.count("is tried again in a fresh process") == 2
        assert "16 records in a row failed" in finished.stderr.splitlines()[-1]

    def test_what_is_special_about_a_signature_is_told_once(self, write, out):
        source = write({"threshold": [1.0] * COUNT, "x": XS}, "TEXT")
        arguments = support.flags(support.job(support.model("without_batch"), source, out, splitBytes=100))
        finished = run_cli(*arguments, "--signature-name=threshold")
        assert finished.returncode == 0
        assert finished.stderr.count("input threshold of signature threshold has no batch dimension") == 1
