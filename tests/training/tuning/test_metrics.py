"""The objective of a trial as real trainers write it: event files of TensorFlow 1 and 2, and cloudml-hypertune."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from batchpredict import storage
from batchpredict.errors import JobFailed
from batchpredict.formats import framing, growing
from batchpredict.training.tuning import Metric, MetricTail, metrics

TAG = "training/hptuning/metric"


def tail(folder: str, tag: str = TAG) -> MetricTail:
    return MetricTail(folder, None, tag, "1")


def pairs(found: list[Metric]) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in found]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event files by TensorFlow: `one` as TF 1 writes them, `two` as TF 2."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("events")
    with tf.Graph().as_default():
        old = tf.compat.v1.summary.FileWriter(str(folder / "one"), graph=tf.compat.v1.get_default_graph())
        for step in range(5):
            summary = tf.compat.v1.Summary()
            summary.value.add(tag=TAG, simple_value=step / 4)
            summary.value.add(tag="loss", simple_value=1 - step / 4)
            old.add_summary(summary, 10 * step)
        old.close()
    # What tf.summary.scalar does; it needs TensorBoard to be installed.
    scalar = tf.compat.v1.SummaryMetadata()
    scalar.plugin_data.plugin_name = "scalars"
    new = tf.summary.create_file_writer(str(folder / "two" / "validation"))
    with new.as_default():
        for step in range(5):
            tf.summary.write(TAG, tf.constant(step / 4), step=10 * step, metadata=scalar)
            tf.summary.write("epoch_loss", tf.constant(2.0), step=10 * step, metadata=scalar)
            tf.summary.write("histogram", tf.zeros([3, 3]), step=step)
            tf.summary.write("words", tf.constant("text"), step=step)
        for kind in (tf.float16, tf.bfloat16, tf.float64, tf.int32, tf.int64):
            tf.summary.write(kind.name, tf.cast(tf.constant(-3.0), kind), step=2, metadata=scalar)
    new.close()
    return folder


@pytest.fixture(params=["local", "memory", "double"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a folder on one kind of storage."""
    if request.param == "local":
        yield str(tmp_path / "job")
    elif request.param == "memory":
        name = f"metrics-{uuid.uuid4().hex}"
        yield f"memory://{name}"
        fsspec.filesystem("memory").rm(name, recursive=True)
    else:
        double = storage.Double()
        with double.mounted():
            yield double.folder()


def content(folder: Path) -> bytes:
    (path,) = folder.rglob("*tfevents*")
    return path.read_bytes()


def ends(data: bytes) -> list[int]:
    """Where the records of an event file end."""
    found, at = [], 0
    while at < len(data):
        at += framing.FRAMING + framing.length_of(data[at : at + framing.HEADER])
        found.append(at)
    return found


@pytest.mark.parametrize("kind", ["one", "two"])
def test_both_kinds_of_event_files_are_read(written: Path, kind: str) -> None:
    follower = tail(str(written / kind))
    assert pairs(follower.poll()) == [(10 * step, step / 4) for step in range(5)]
    assert follower.poll() == []
    assert follower.faults == []
    assert pairs(follower.metrics) == [(10 * step, step / 4) for step in range(5)]


def test_a_metric_says_when_it_was_written(written: Path) -> None:
    seconds = [metric.seconds for metric in tail(str(written / "one")).poll()]
    assert seconds == sorted(seconds)
    assert abs(seconds[-1] - os.stat(next((written / "one").iterdir())).st_mtime) < 60


@pytest.mark.parametrize("kind", ["half", "bfloat16", "float64", "int32", "int64"])
def test_a_number_of_any_type_is_read(written: Path, kind: str) -> None:
    tag = {"half": "float16"}.get(kind, kind)
    assert pairs(tail(str(written / "two"), tag).poll()) == [(2, -3.0)]


def test_the_tags_that_were_seen_are_known(written: Path) -> None:
    follower = tail(str(written / "two"), "accuracy")
    assert follower.poll() == []
    assert {TAG, "epoch_loss"} <= follower.tags_seen
    assert not {"histogram", "words"} & follower.tags_seen


@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_file_is_followed_while_it_grows(written: Path, kind: str, base: str) -> None:
    data = content(written / kind)
    url = storage.join(base, "1", "events.out.tfevents.1")
    follower = tail(storage.join(base, "1"))
    assert follower.poll() == []
    found: list[Metric] = []
    for end in range(0, len(data) + 1, 7):
        storage.replace_bytes(url, data[:end])
        found += follower.poll()
    storage.replace_bytes(url, data)
    found += follower.poll()
    assert pairs(found) == [(10 * step, step / 4) for step in range(5)]
    assert follower.faults == []


def test_what_was_read_is_not_read_again(written: Path) -> None:
    data = content(written / "one")
    double = storage.Double()
    with double.mounted():
        folder = double.folder()
        url = double.put(storage.join(folder, "events.out.tfevents.1"), data)
        follower = tail(folder)
        follower.poll()
        double.calls.clear()
        follower.poll()
        assert [call for call in double.calls if call[1] == url] == []


def test_records_longer_than_what_is_read_at_once_are_passed_over(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(written / "one")
    header = (1 << 20).to_bytes(8, "little")
    long = header + framing.mask(framing.crc32c(header)).to_bytes(4, "little") + bytes((1 << 20) + 4)
    first = ends(data)[0]
    (tmp_path / "events.out.tfevents.1").write_bytes(data[:first] + long + data[first:])
    monkeypatch.setattr(growing, "_PIECE", 1 << 16)
    assert len(tail(str(tmp_path)).poll()) == 5


def test_a_damaged_record_costs_one_value(written: Path, tmp_path: Path) -> None:
    data = bytearray(content(written / "two"))
    before = ends(bytes(data))
    # The record of step 20, by its number of values before it: a version, then four a step.
    index = 1 + 4 * 2
    data[before[index] - 6] ^= 0xFF
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    assert [metric.step for metric in tail(str(tmp_path)).poll()] == [0, 10, 30, 40]


def test_a_file_whose_framing_is_damaged_is_read_up_to_there_and_named(written: Path, tmp_path: Path) -> None:
    data = bytearray(content(written / "two"))
    data[ends(bytes(data))[8]] ^= 0xFF
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    follower = tail(str(tmp_path))
    assert [metric.step for metric in follower.poll()] == [0, 10]
    (fault,) = follower.faults
    assert "events.out.tfevents.1 is damaged at byte" in fault
    assert follower.poll() == []


def test_files_that_are_none_of_tensorboards_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"\0" * 100)
    follower = tail(str(tmp_path))
    assert follower.poll() == []
    assert follower.faults == []


def test_a_read_that_fails_loses_nothing(written: Path) -> None:
    double = storage.Double()
    with double.mounted():
        folder = double.folder()
        double.put(storage.join(folder, "a", "events.out.tfevents.1"), content(written / "one"))
        second = double.put(storage.join(folder, "b", "events.out.tfevents.1"), content(written / "one"))

        def refuse(operation: str, url: str) -> None:
            if (operation, url) == ("read_range", second):
                raise PermissionError(url)

        follower = tail(folder)
        double.before = refuse
        with pytest.raises(PermissionError):
            follower.poll()
        double.before = lambda operation, url: None
        assert len(follower.poll()) == 5


# cloudml-hypertune.


@pytest.fixture(scope="module")
def hypertune(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the package as its authors published it."""
    target = tmp_path_factory.mktemp("hypertune")
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(target), "cloudml-hypertune==0.1.0.dev6"],
        capture_output=True,
        text=True,
        timeout=250,
    )
    if installed.returncode:
        pytest.skip(f"cloudml-hypertune cannot be installed: {installed.stderr[-200:]}")
    return str(target)


def report(package: str, file: Path, reports: list[tuple[str, float, int]]) -> None:
    """What a trainer of trial 1 does."""
    program = (
        "import hypertune, json, sys; h = hypertune.HyperTune()\n"
        "for tag, value, step in json.loads(sys.argv[1]):\n"
        "    h.report_hyperparameter_tuning_metric(tag, value, step)\n"
    )
    environment = {"PYTHONPATH": package, "CLOUD_ML_HP_METRIC_FILE": str(file), "CLOUD_ML_TRIAL_ID": "1"}
    subprocess.run([sys.executable, "-c", program, json.dumps(reports)], check=True, timeout=60, env=environment)


def test_reports_of_cloudml_hypertune_are_read(hypertune: str, tmp_path: Path) -> None:
    file = tmp_path / "hypertune" / "output.metrics"
    follower = MetricTail(None, str(file), "accuracy", "1")
    assert follower.poll() == []
    report(hypertune, file, [("accuracy", 0.5, 100), ("loss", 2.0, 100), ("accuracy", 0.75, 200)])
    assert pairs(follower.poll()) == [(100, 0.5), (200, 0.75)]
    assert follower.poll() == []
    assert follower.tags_seen == {"accuracy", "loss"}


def test_the_default_tag_is_that_of_cloudml_hypertune(hypertune: str, tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    report(hypertune, file, [("", 0.5, 1)])
    assert pairs(MetricTail(None, str(file), TAG, "1").poll()) == [(1, 0.5)]


def test_of_more_reports_than_the_file_keeps_those_that_were_seen_stay(hypertune: str, tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    follower = MetricTail(None, str(file), "accuracy", "1")
    report(hypertune, file, [("accuracy", step / 100, step) for step in range(60)])
    assert len(follower.poll()) == 60
    report(hypertune, file, [("accuracy", step / 100, step) for step in range(60, 180)])
    assert [metric.step for metric in follower.poll()] == list(range(80, 180))
    assert len(follower.metrics) == 160


def line(**fields: Any) -> bytes:
    return json.dumps({"timestamp": 1.0, "trial": "1", "global_step": "1", **fields}).encode() + b"\n"


def test_a_line_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    follower = MetricTail(None, str(file), "acc", "1")
    file.write_bytes(line(acc="0.5") + line(acc="0.75", global_step="2")[:-9])
    assert pairs(follower.poll()) == [(1, 0.5)]
    file.write_bytes(line(acc="0.5") + line(acc="0.75", global_step="2"))
    assert pairs(follower.poll()) == [(2, 0.75)]


def test_what_is_no_report_of_this_trial_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    file.write_bytes(line(acc="0.5", trial="2") + b"[]\nnull\n\xff\n" + line(acc="x") + line(acc="0.1"))
    assert pairs(MetricTail(None, str(file), "acc", "1").poll()) == [(1, 0.1)]


def test_of_one_step_what_was_written_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    follower = MetricTail(None, str(file), "acc", "1")
    file.write_bytes(line(acc="0.5", timestamp=1))
    follower.poll()
    # A trainer that was restarted from its checkpoint.
    file.write_bytes(line(acc="0.6", timestamp=2))
    assert pairs(follower.poll()) == [(1, 0.6)]
    assert pairs(follower.metrics) == [(1, 0.6)]


def test_a_value_that_is_no_number_is_given_once(tmp_path: Path) -> None:
    file = tmp_path / "output.metrics"
    file.write_bytes(line(acc="nan"))
    follower = MetricTail(None, str(file), "acc", "1")
    ((step, value),) = pairs(follower.poll())
    assert step == 1
    assert math.isnan(value)
    assert follower.poll() == []


def test_too_many_metrics_are_refused_in_the_services_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_METRICS", 3)
    file = tmp_path / "output.metrics"
    file.write_bytes(b"".join(line(acc="0.5", global_step=str(step)) for step in range(4)))
    message = "Too many hyperparameter tuning metrics were written by Hyperparameter Tuning Trial #1."
    with pytest.raises(JobFailed, match=message):
        MetricTail(None, str(file), "acc", "1").poll()


def test_the_room_imports_no_tensorflow() -> None:
    program = (
        "import sys, batchpredict.training.tuning as room\n"
        "[getattr(room, name) for name in room.__all__]\n"
        "sys.exit('tensorflow' in sys.modules or 'optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
