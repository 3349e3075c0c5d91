"""Fixtures of the tests of scoring again what failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def _save(path: str, specs: dict[str, Any], run: Callable[..., Any]) -> str:
    import tensorflow as tf

    module = tf.Module()
    module.run = tf.function(run, input_signature=[tf.TensorSpec(**spec) for spec in specs.values()])
    tf.saved_model.save(module, path, signatures={"serving_default": module.run})
    return path


@pytest.fixture(scope="session")
def strict(tmp_path_factory) -> str:
    """A model that takes a number as text and refuses what is negative; `y` is its square root."""
    import tensorflow as tf

    def run(line):
        number = tf.strings.to_number(line)
        with tf.control_dependencies([tf.debugging.assert_non_negative(number, message="negative number")]):
            return {"y": tf.sqrt(number)}

    specs = {"line": {"shape": [None], "dtype": tf.string, "name": "line"}}
    return _save(str(tmp_path_factory.mktemp("models") / "strict"), specs, run)


@pytest.fixture(scope="session")
def lenient(tmp_path_factory) -> str:
    """As `strict`, but a negative number has the root of its opposite."""
    import tensorflow as tf

    def run(line):
        return {"y": tf.sqrt(tf.abs(tf.strings.to_number(line)))}

    specs = {"line": {"shape": [None], "dtype": tf.string, "name": "line"}}
    return _save(str(tmp_path_factory.mktemp("models") / "lenient"), specs, run)


@pytest.fixture(scope="session")
def lenient_rows(tmp_path_factory) -> str:
    """As `refuses_negative` of the testdata, but a negative number has the root of its opposite."""
    import tensorflow as tf

    def run(x):
        return {"y": tf.sqrt(tf.abs(x))}

    specs = {"x": {"shape": [None], "dtype": tf.float32, "name": "x"}}
    return _save(str(tmp_path_factory.mktemp("models") / "lenient_rows"), specs, run)
