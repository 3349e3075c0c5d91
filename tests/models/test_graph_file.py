"""Names of signatures without TensorFlow: the same that TensorFlow reads, and little of a large file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import support
from hypothesis import given
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import ModelUnusable
from batchpredict.models.graph_file import listed_signatures
from batchpredict.models.inspect import look

MODELS = sorted(
    name for name in os.listdir(support.MODELS) if os.path.exists(support.model(f"{name}/saved_model.pb"))
)


def read(tmp_path, data: bytes) -> tuple[str, ...] | None:
    (tmp_path / "saved_model.pb").write_bytes(data)
    return listed_signatures(str(tmp_path))


def answer(ask: Callable[[str], Any], uri: str) -> Any:
    try:
        return ask(uri)
    except ModelUnusable as error:
        return str(error)


def names_of(found: Any) -> tuple[str, ...]:
    return tuple(signature.name for signature in found.signatures)


@pytest.mark.parametrize("name", MODELS)
def test_it_lists_what_tensorflow_lists(name):
    uri = support.model(name)
    assert answer(listed_signatures, uri) == answer(lambda uri: names_of(look(uri)), uri)


def test_the_graph_for_serving_is_chosen_as_when_it_is_loaded(tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    for tag in ("train", "serve"):
        graph = model.meta_graphs.add()
        graph.meta_info_def.tags.append(tag)
        graph.signature_def[f"of_{tag}"].method_name = "m"
        graph.signature_def["__saved_model_init_op"].method_name = "m"
    assert read(tmp_path, model.SerializeToString()) == ("of_serve",)


def test_a_model_as_text_is_left_to_tensorflow(tmp_path):
    (tmp_path / "saved_model.pbtxt").write_text("")
    assert listed_signatures(str(tmp_path)) is None


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x12\x05ab", b"\x13", b"\x0b"])
def test_what_is_no_saved_model_is_refused(tmp_path, data):
    with pytest.raises(ModelUnusable, match="cannot be parsed"):
        read(tmp_path, data)


@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_do_anything_else(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    try:
        found = read(folder, data)
    except ModelUnusable:
        return
    assert isinstance(found, tuple)


def test_a_large_graph_is_not_read(tmp_path, monkeypatch):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="n").attr["value"].s = b"x" * (20 << 20)
    graph.signature_def["score"].method_name = "m"
    reads: list[int] = []
    read_range = storage.read_range

    def counted(url: str, start: int, end: int) -> bytes:
        reads.append(end - start)
        return read_range(url, start, end)

    monkeypatch.setattr(storage, "read_range", counted)
    assert read(tmp_path, model.SerializeToString()) == ("score",)
    assert sum(reads) < 1 << 20


def test_it_does_without_tensorflow():
    code = (
        "import sys; from batchpredict.models import listed_signatures; "
        f"print(listed_signatures({support.DIGITS_MODEL!r})); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded = done.stdout.splitlines()
    assert "serving_default" in names
    assert loaded == "False"
