"""Another model than the one that the handler was made with, by a side input."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import apache_beam as beam
import pytest
import support
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    KeyModelPathMapping,
    ModelMetadata,
    RunInference,
)
from apache_beam.ml.inference.utils import WatchFilePattern
from apache_beam.transforms import window
from apache_beam.utils.timestamp import Timestamp
from inference import Collection, in_process, plain

from batchpredict.beam import SavedModelHandler

DOUBLE = support.model("double")
SQRT = support.model("refuses_negative")


def updated(handler: Any, path: str, element: Any = 4.0) -> list[Any]:
    """The results for one element of a pipeline whose side input names a model."""
    found = Collection()
    with in_process() as pipeline:
        told = pipeline | "Models" >> beam.Create([ModelMetadata(path, "new")])
        found.of(pipeline | beam.Create([element]) | RunInference(handler, model_metadata_pcoll=told))
    return found.elements


@pytest.mark.parametrize("file", ["", "/saved_model.pb", "/READY"])
def test_a_model_may_be_named_by_its_folder_or_by_a_file_in_it(file, tmp_path):
    folder = shutil.copytree(SQRT, tmp_path / "2")
    (folder / "READY").touch()
    handler = SavedModelHandler(DOUBLE)
    handler.update_model_path(f"{folder}{file}")
    assert repr(handler) == f"SavedModelHandler('{folder}')"


def test_no_path_leaves_the_model_as_it_is():
    handler = SavedModelHandler(DOUBLE)
    for nothing in ("", None):
        handler.update_model_path(nothing)
    assert repr(handler) == f"SavedModelHandler({DOUBLE!r})"


def test_a_side_input_names_the_model():
    (result,) = updated(SavedModelHandler(DOUBLE), SQRT)
    assert (plain(result), result.model_id) == ({"y": 2.0}, SQRT)


@pytest.mark.parametrize(
    "handler",
    [SavedModelHandler(DOUBLE, keyed=True), KeyedModelHandler(SavedModelHandler(DOUBLE))],
    ids=["ours", "beams"],
)
def test_a_side_input_names_the_model_of_records_with_keys(handler):
    assert plain(updated(handler, f"{SQRT}/saved_model.pb", element=("key", 4.0))) == [("key", {"y": 2.0})]


def test_a_model_of_a_side_input_that_does_not_load_fails_the_call(tmp_path):
    with pytest.raises(Exception, match=r"cannot be loaded: there is no saved_model\.pb in that folder"):
        updated(SavedModelHandler(DOUBLE), str(tmp_path))


def test_each_model_of_many_is_updated_by_its_keys():
    handler = KeyedModelHandler(
        [
            KeyModelMapping(["a"], SavedModelHandler(DOUBLE)),
            KeyModelMapping(["b"], SavedModelHandler(DOUBLE)),
        ]
    )
    found = Collection()
    with in_process() as pipeline:
        told = pipeline | "Models" >> beam.Create(
            [[KeyModelPathMapping(["a"], DOUBLE, "one"), KeyModelPathMapping(["b"], SQRT, "two")]]
        )
        pairs = pipeline | beam.Create([("a", 4.0), ("b", 4.0)])
        found.of(pairs | RunInference(handler, model_metadata_pcoll=told))
    assert sorted(plain(found.elements)) == [("a", {"y": 8.0}), ("b", {"y": 2.0})]


def test_each_window_has_the_model_of_its_side_input():
    def at(seconds: int, value: Any) -> Any:
        return window.TimestampedValue(value, seconds)

    models = [at(1, ModelMetadata(SQRT, "sqrt")), at(11, ModelMetadata(f"{DOUBLE}/saved_model.pb", "double"))]
    found = Collection()
    with in_process() as pipeline:
        told, elements = (
            pipeline | name >> beam.Create(values) | f"{name} by time" >> beam.Map(lambda one: one)
            | f"{name} in windows" >> beam.WindowInto(window.FixedWindows(10))
            for name, values in (("Models", models), ("Elements", [at(2, 4.0), at(3, 16.0), at(12, 4.0)]))
        )  # fmt: skip
        found.of(elements | RunInference(SavedModelHandler(DOUBLE), model_metadata_pcoll=told))
    said = [(result.model_id, plain(result)) for result in found.elements]
    assert sorted(said, key=str) == [(DOUBLE, {"y": 8.0}), (SQRT, {"y": 2.0}), (SQRT, {"y": 4.0})]


def test_what_beams_watcher_of_files_tells_of_is_a_model(tmp_path):
    # It passes over what was there before it was imported, whose time it knows in seconds.
    version = shutil.copytree(SQRT, tmp_path / "2")
    later = time.time() + 5
    os.utime(version / "saved_model.pb", (later, later))
    found = Collection()
    with in_process("--allow_unsafe_triggers") as pipeline:
        told = (
            pipeline
            | WatchFilePattern(f"{tmp_path}/*/saved_model.pb", interval=1, stop_timestamp=Timestamp.now() + 1)
            | beam.WindowInto(window.GlobalWindows())
            | beam.combiners.Latest.Globally()
        )
        found.of(pipeline | beam.Create([4.0]) | RunInference(SavedModelHandler(DOUBLE), model_metadata_pcoll=told))
    assert [(result.model_id, plain(result)) for result in found.elements] == [(str(version), {"y": 2.0})]
