"""One user process: its packages installed, started, its output handed on, ended with all that it started."""

from batchpredict.training.replica.building import build_package
from batchpredict.training.replica.child import Child
from batchpredict.training.replica.devices import split_devices
from batchpredict.training.replica.failure import failure_sentence
from batchpredict.training.replica.packages import Installed, install
from batchpredict.training.replica.program import Program, environment, working_folder
from batchpredict.training.replica.startup import STARTUP_SECONDS, Startup, computed

__all__ = [
    "STARTUP_SECONDS",
    "Child",
    "Installed",
    "Program",
    "Startup",
    "build_package",
    "computed",
    "environment",
    "failure_sentence",
    "install",
    "split_devices",
    "working_folder",
]
