"""An estimate as a JSON document, whose fields docs/planning.md describes. Names of numbers have their units."""

from __future__ import annotations

from typing import Any

from batchpredict.estimate.batch_sizes import BatchSize, enough
from batchpredict.estimate.ranges import Range
from batchpredict.estimate.report import Estimate, Forecast, Sample, Speed
from batchpredict.models import TensorSpec

VERSION = 1
"""Of the document: raised when a field changes its meaning or goes; not when one is added."""

_STAGES = ("read", "decode", "model", "write", "other")


def to_document(found: Estimate) -> dict[str, Any]:
    """The whole estimate."""
    spec, plan = found.spec, found.plan
    return {
        "version": VERSION,
        "job": {
            "inputPaths": list(spec.inputs),
            "dataFormat": spec.data_format,
            "uri": spec.model_uri,
            "outputPath": spec.output_path,
            "outputDataFormat": spec.output_format,
            "batchSize": spec.batch_size,
            "fingerprint": plan.fingerprint,
        },
        "input": {
            "files": plan.files,
            "bytes": plan.bytes,
            "splits": plan.splits,
            "splitBytes": plan.split_bytes,
            "records": {**_range(found.records.count, whole=True), "how": found.records.how},
        },
        "sample": None if found.sample is None else _sample(found.sample),
        "errors": None if found.sample is None else _errors(found, found.sample),
        "output": _output(found),
        "speed": [_speed(one, found) for one in found.speeds],
        "batchSizes": _batch_sizes(found),
        "fixedSeconds": {"start": _seconds(found.start_seconds), "publish": _seconds(found.publish_seconds)},
        "forecasts": [_forecast(one) for one in found.forecasts],
        "estimateSeconds": _seconds(found.seconds),
    }


def _range(value: Range, *, whole: bool = False, digits: int = 6) -> dict[str, Any]:
    def number(one: float) -> float:
        return round(one) if whole else float(f"{one:.{digits}g}")

    return {
        "estimate": number(value.estimate),
        "low": number(value.low),
        "high": number(value.high),
        "exact": value.exact,
    }


def _seconds(value: float) -> float:
    return round(value, 3)


def _sample(sample: Sample) -> dict[str, Any]:
    return {"records": sample.records, "places": sample.places, "cutShort": sample.cut_short}


def _errors(found: Estimate, sample: Sample) -> dict[str, Any]:
    records = found.records.count
    expected = Range(
        sample.share.estimate * records.estimate, sample.share.low * records.low, sample.share.high * records.high
    )
    return {
        "scored": sample.scored,
        "failed": sample.errors,
        "share": _range(sample.share),
        "records": _range(expected, whole=True),
        "kinds": [
            {"code": kind.code, "message": kind.message, "failed": kind.count, "example": dict(kind.example)}
            for kind in sample.kinds
        ],
        "maxErrors": found.spec.max_errors,
        "budget": sample.verdict or None,
    }


def _output(found: Estimate) -> dict[str, Any]:
    folder = found.folder
    carried = [{"name": name, "dtype": None, "shape": None} for name in found.carried]
    return {
        "bytes": None if found.output_bytes is None else _range(found.output_bytes, whole=True),
        "fields": [*carried, *map(_field, found.outputs)],
        "refusal": folder.refusal or None,
        "writable": None if not folder.checked else not folder.refusal,
        "finished": folder.finished,
        "committedSplits": folder.committed,
    }


def _field(output: TensorSpec) -> dict[str, Any]:
    shape = output.row_shape
    return {"name": output.alias, "dtype": output.dtype, "shape": None if shape is None else list(shape)}


def _speed(speed: Speed, found: Estimate) -> dict[str, Any]:
    stages = speed.stages
    seconds = {name: float(getattr(stages, name)) for name in _STAGES}
    return {
        "workers": speed.processes,
        "threadsPerWorker": speed.threads,
        "recordsPerSecond": round(speed.rate * speed.processes, 1),
        "recordsPerSecondPerWorker": round(speed.rate, 1),
        "inputBytesPerSecondPerWorker": round(speed.bytes / stages.loop),
        "stages": {
            name: {
                "share": round(one / max(stages.own, 1e-9), 4),
                "recordsPerSecondPerWorker": round(speed.records / one, 1) if one else None,
            }
            for name, one in seconds.items()
        },
        "waitedShare": round(stages.waited / stages.loop, 4),
        "bottleneck": max(seconds, key=lambda name: seconds[name]),
        "commitSecondsPerSplit": round(speed.commit_seconds, 5),
        "modelLoadSeconds": _seconds(speed.load_seconds),
        "peakMemoryBytesPerWorker": speed.peak_bytes,
        "batchSize": found.spec.batch_size,
    }


def _batch_sizes(found: Estimate) -> dict[str, Any]:
    sizes = found.batch_sizes
    if sizes is None:
        return {"tried": [], "stopped": found.no_batch_sizes, "enough": None, "modelEnough": None}
    return {
        "tried": [_batch_size(one) for one in sizes.tried],
        "stopped": sizes.stopped or None,
        "enough": _chosen(enough(sizes.tried, lambda one: one.rate)),
        "modelEnough": _chosen(enough(sizes.tried, lambda one: one.model_rate)),
    }


def _batch_size(one: BatchSize) -> dict[str, Any]:
    return {
        "batchSize": one.rows,
        "recordsPerSecond": round(one.rate, 1),
        "modelRecordsPerSecond": round(one.model_rate, 1),
        "peakMemoryBytes": one.peak_bytes,
    }


def _chosen(one: BatchSize | None) -> dict[str, Any] | None:
    return None if one is None else _batch_size(one)


def _forecast(one: Forecast) -> dict[str, Any]:
    return {
        "workers": one.workers,
        "workersUsed": one.used,
        "measuredWorkers": one.measured,
        "extrapolated": one.measured != one.used,
        "elapsedSeconds": _range(one.elapsed_seconds),
        "nodeHours": _range(one.node_hours),
        "cost": None if one.cost is None else _range(one.cost),
    }
