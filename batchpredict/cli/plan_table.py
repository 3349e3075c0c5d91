"""The document of an estimate as text for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from batchpredict.cli.observers import duration
from batchpredict.counted import counted

_LABEL = 12
_SHOWN = 160
# A share of waiting that a machine has also when it does nothing else.
_BUSY = 0.05
_STAGES = {"read": "reading", "decode": "decoding", "model": "model", "write": "writing", "other": "the rest"}

Lines = Iterator[str]


def show(document: dict[str, Any]) -> None:
    """Print an estimate on stdout; its headings are bold on a terminal, and no line is cut."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for title, section in _SECTIONS:
        for number, line in enumerate(section(document)):
            console.print(f"{'' if number else title:<{_LABEL}}", style="bold", end="")
            console.print(line)


def _job(document: dict[str, Any]) -> Lines:
    job, source = document["job"], document["input"]
    yield (
        f"{counted(source['files'], 'file')}, {size(source['bytes'])}, {job['dataFormat']} to "
        f"{job['outputDataFormat']}; {counted(source['splits'], 'split')}, batches of {job['batchSize']:,}"
    )


def _records(document: dict[str, Any]) -> Lines:
    records = document["input"]["records"]
    yield f"{_ranged(records, _number)}, {records['how']}"


def _errors(document: dict[str, Any]) -> Lines:
    errors, sample = document["errors"], document["sample"]
    if errors is None:
        yield "nothing was sampled"
        return
    short = "; there was no time for more" if sample["cutShort"] else ""
    yield (
        f"{errors['failed']:,} of {errors['scored']:,} records that were scored fail: "
        f"{_ranged(errors['share'], _percent)}, or {_ranged(errors['records'], _number)} of all{short}"
    )
    for kind in errors["kinds"]:
        example = kind["example"]
        yield f"{kind['failed']:>6,} x {kind['code']}: {_cut(kind['message'])}"
        instance = _cut(example.get("instance", ""))
        yield f"         such as {example['source']} at byte {example['offset']}: {instance}"
    if errors["budget"]:
        yield f"maxErrors {errors['maxErrors']} {errors['budget']}"


def _output(document: dict[str, Any]) -> Lines:
    output = document["output"]
    said = "unknown" if output["bytes"] is None else _ranged(output["bytes"], size)
    yield f"{said}, to {document['job']['outputPath']}"
    fields = ", ".join(map(_field, output["fields"]))
    if fields:
        yield f"a result has {fields}"
    if output["refusal"]:
        yield f"predict would fail: {output['refusal']}"
    elif output["finished"]:
        yield "this job is finished: predict would score nothing"
    elif output["committedSplits"]:
        done = output["committedSplits"]
        yield (
            f"{done:,} of {document['input']['splits']:,} splits are committed already, and not scored again; "
            "time and cost below are of all of them"
        )
    if output["writable"] is None:
        yield "whether it can be written to shows only when something is"


def _speed(document: dict[str, Any]) -> Lines:
    for speed in document["speed"]:
        workers = speed["workers"]
        yield (
            f"{_number(speed['recordsPerSecond'])} records/s by {counted(workers, 'worker')} here, "
            f"{size(speed['inputBytesPerSecondPerWorker'])}/s and {size(speed['peakMemoryBytesPerWorker'])} "
            "of memory each"
        )
    if not document["speed"]:
        yield "unknown: there are no records"
        return
    speed = document["speed"][0]
    if speed["waitedShare"] > _BUSY:
        yield (
            f"{_percent(speed['waitedShare'])} of its time a worker waited for a core: others use this machine, "
            "and all times are as it is now"
        )
    for name, stage in speed["stages"].items():
        rate = stage["recordsPerSecondPerWorker"]
        slowest = "  < takes most" if name == speed["bottleneck"] else ""
        alone = "" if rate is None else f"{_number(rate):>12} records/s alone"
        yield f"  {_STAGES[name]:<9}{_percent(stage['share']):>7} of the time{alone}{slowest}"


def _batches(document: dict[str, Any]) -> Lines:
    sizes = document["batchSizes"]
    for one in sizes["tried"]:
        yield (
            f"{one['batchSize']:>6,}{_number(one['recordsPerSecond']):>12} records/s, the model alone "
            f"{_number(one['modelRecordsPerSecond'])}/s; {size(one['peakMemoryBytes'])}"
        )
    if sizes["stopped"]:
        yield sizes["stopped"]
    enough, model = sizes["enough"], sizes["modelEnough"]
    if enough and enough == sizes["tried"][-1]:
        memory = size(enough["peakMemoryBytes"])
        yield f"{enough['batchSize']:,} is the fastest of those that were tried, with {memory} of memory"
    elif enough and model:
        yield (
            f"beyond {enough['batchSize']:,} a doubling gains less than 5 %, with "
            f"{size(enough['peakMemoryBytes'])} of memory; for the model alone beyond {model['batchSize']:,}"
        )


def _time(document: dict[str, Any]) -> Lines:
    forecasts = document["forecasts"]
    priced = any(one["cost"] for one in forecasts)
    rows = [["workers", "time", "from", "to", "node hours", *(["cost", "from", "to"] if priced else [])]]
    for one in forecasts:
        elapsed, cost = one["elapsedSeconds"], one["cost"]
        row = [f"{one['workers']:,}", *(duration(elapsed[name]) for name in ("estimate", "low", "high"))]
        row.append(f"{one['nodeHours']['estimate']:,.4g}")
        rows.append(row + ([f"{cost[name]:,.4g}" for name in ("estimate", "low", "high")] if cost else []))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
    yield from _remarks(forecasts, document["input"]["splits"])


def _remarks(forecasts: Sequence[dict[str, Any]], splits: int) -> Lines:
    for one in forecasts:
        if one["workersUsed"] < one["workers"]:
            got = f"only {one['workersUsed']:,} get one of the {counted(splits, 'split')}"
            yield f"{one['workers']:,} workers: {got}"
        if one["extrapolated"]:
            measured = f"{counted(one['measuredWorkers'], 'worker')} of this machine"
            yield (
                f"{one['workers']:,} workers: extrapolated from {measured}, to machines where each has as much to "
                "itself"
            )


_SECTIONS: tuple[tuple[str, Callable[[dict[str, Any]], Lines]], ...] = (
    ("job", _job),
    ("records", _records),
    ("errors", _errors),
    ("output", _output),
    ("speed", _speed),
    ("batch size", _batches),
    ("time", _time),
)


def _ranged(value: dict[str, Any], shown: Callable[[float], str]) -> str:
    if value["exact"]:
        return shown(value["estimate"])
    return f"{shown(value['estimate'])} ({shown(value['low'])} to {shown(value['high'])})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _field(field: dict[str, Any]) -> str:
    if field["dtype"] is None:
        return f"{field['name']} (as it came)"
    sizes = ", ".join("?" if one is None else str(one) for one in field["shape"] or [])
    return f"{field['name']} {field['dtype']}{f' [{sizes}]' if sizes else ''}"


def _cut(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def size(count: float) -> str:
    """Bytes as a user reads them, in powers of ten as discs and stores count them."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.3g} {unit}"
