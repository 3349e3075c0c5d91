"""The parts of TensorFlow with which a graph is loaded and run. Importing this module imports them, and no more.

`import tensorflow` builds the whole Python API, which takes five times as long as these parts do (7.6 s and 1.6 s
on two busy cores) and which nothing here needs. So where nobody has imported TensorFlow in this process, its
package is put in place without being run, and the parts are imported as the modules of it that they are. Whoever
asks the package for a name of the API later, by `import tensorflow as tf` and `tf.constant`, has it run then, and
finds all; so does whoever imports a module that only the API has, such as `tensorflow.keras`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Libraries of other hardware, which only the package itself loads.
_PLUGINS = "tensorflow-plugins"

# Names that are asked of any module, by inspect for one, and that the package does not have.
_FOREIGN = frozenset({"__wrapped__", "__warningregistry__"})

_running = threading.RLock()


class _Package(ModuleType):
    """A package whose code is run when somebody asks for a name that only that code gives."""

    def __getattr__(self, name: str) -> Any:
        if name in _FOREIGN or not self.run():
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)

    def run(self) -> bool:
        """Run the package's code, once. False in the midst of that, when what it has not yet is not there."""
        with _running:
            if type(self) is not _Package:
                return True
            if "_runs" in self.__dict__:
                return False
            self._runs = True
            try:
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                self.__spec__.loader.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]
            finally:
                del self._runs
        return True


class _ModulesOfTheAPI(MetaPathFinder):
    """Finds modules that lie where the package's own code says, by running that. Asked when nobody else has one."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        parent = fullname.rpartition(".")[0]
        package = sys.modules.get(parent)
        if parent != "tensorflow" or not isinstance(package, _Package) or not package.run():
            return None
        return PathFinder.find_spec(fullname, package.__path__)


def _put_in_place() -> None:
    if "tensorflow" in sys.modules or any(os.path.isdir(os.path.join(path, _PLUGINS)) for path in sys.path):
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        # Not installed, or something else of that name: importing it says so.
        return
    package = _Package("tensorflow")
    package.__spec__ = spec
    package.__loader__ = spec.loader
    package.__file__ = spec.origin
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = package
    sys.meta_path.append(_ModulesOfTheAPI())


_put_in_place()

# ruff: noqa: E402
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import config_pb2, saved_model_pb2
from tensorflow.python import tf2
from tensorflow.python.client.session import Session
from tensorflow.python.framework import errors_impl as errors
from tensorflow.python.framework.dtypes import as_dtype
from tensorflow.python.framework.importer import import_graph_def
from tensorflow.python.framework.ops import Graph
from tensorflow.python.framework.tensor_shape import TensorShape
from tensorflow.python.framework.versions import VERSION as TENSORFLOW_VERSION
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

# As the package does.
tf2.enable()

parse_example = example_pb2.Example.FromString

__all__ = [
    "TENSORFLOW_VERSION",
    "Graph",
    "SavedModelLoader",
    "Session",
    "TensorShape",
    "as_dtype",
    "config_pb2",
    "errors",
    "import_graph_def",
    "parse_example",
    "saved_model_pb2",
]
