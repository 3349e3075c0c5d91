"""One user process: its packages installed, started, its output handed on, ended with all that it started."""

from batchpredict.training.replica.building import build_package
from batchpredict.training.replica.child import Child
from batchpredict.training.replica.devices import split_devices
from batchpredict.training.replica.failure import failure_sentence
from batchpredict.training.replica.packages import Installed, install
from batchpredict.training.replica.program import Program, environment, working_folder

__all__ = [
    "Child",
    "Installed",
    "Program",
    "build_package",
    "environment",
    "failure_sentence",
    "install",
    "split_devices",
    "working_folder",
]
