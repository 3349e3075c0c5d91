"""TensorFlow's parts without its API, in processes of their own: what is asked of the API later is there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import support

PARTS = """import sys
from batchpredict.models import tf_core
whole = lambda: "keras" in vars(sys.modules["tensorflow"])
"""


def run(code: str, path: str = "") -> None:
    """Run statements, which assert, in a fresh process; `path` is where it looks for modules as well."""
    searched = os.pathsep.join(part for part in (support.ROOT, path) if part)
    environ = {**os.environ, "PYTHONPATH": searched, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.long
def test_the_parts_do_without_the_api_and_it_is_there_when_it_is_asked_for() -> None:
    run(
        f"""{PARTS}
assert not whole()
import tensorflow as tf
assert not whole()
assert tf.constant(3).numpy() == 3
assert whole()
assert tf.errors.OpError is tf_core.errors.OpError
assert tf.Graph is tf_core.Graph
"""
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "asked",
    [
        "import tensorflow as tf; tf.__version__",
        "import tensorflow as tf; tf.__internal__",
        "from tensorflow import constant",
        "import tensorflow.compat.v1 as v1; v1.Session",
        "from tensorflow.keras.layers import Dense",
    ],
)
def test_every_way_to_ask_for_the_api_finds_it(asked: str) -> None:
    run(f"{PARTS}\n{asked}\nassert whole()")


@pytest.mark.long
def test_the_whole_may_come_first() -> None:
    run(
        """import tensorflow as tf
from batchpredict.models import tf_core
assert tf_core.Session is tf.compat.v1.Session
assert tf_core.TENSORFLOW_VERSION == tf.__version__
"""
    )


def test_a_name_that_does_not_exist_is_an_error_as_ever() -> None:
    run(
        f"""{PARTS}
import tensorflow as tf
try:
    tf.no_such_name
except AttributeError as error:
    assert "no_such_name" in str(error), error
else:
    raise AssertionError
try:
    import tensorflow.no_such_module
except ModuleNotFoundError:
    pass
else:
    raise AssertionError
"""
    )


@pytest.mark.long
def test_several_threads_may_ask_at_a_time() -> None:
    run(
        f"""{PARTS}
from concurrent.futures import ThreadPoolExecutor
import tensorflow as tf
with ThreadPoolExecutor(4) as threads:
    assert list(threads.map(lambda n: int(tf.constant(n)), range(4))) == [0, 1, 2, 3]
"""
    )


@pytest.mark.long
def test_where_libraries_of_other_hardware_lie_the_whole_is_imported(tmp_path: Any) -> None:
    (tmp_path / "tensorflow-plugins").mkdir()
    run(f"{PARTS}\nassert whole()", str(tmp_path))
