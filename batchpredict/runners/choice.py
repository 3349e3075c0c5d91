"""Which runner a name stands for."""

from __future__ import annotations

from collections.abc import Sequence

from batchpredict.errors import UnknownFlag
from batchpredict.runners.flags import closest
from batchpredict.runners.interface import Runner

DIRECT = "DirectRunner"

# Names under which Beam knows an engine inside this process; here they all mean the FnApiRunner, without the
# download that Beam's DirectRunner begins with.
_IN_PROCESS = frozenset((DIRECT, "FnApiRunner", "InProcessRunner"))

# Those that are reached through a job server.
_PORTABLE = ("FlinkRunner", "PrismRunner", "PortableRunner")

# All that Beam brings a client for.
_ELSEWHERE = (*_PORTABLE, "DataflowRunner", "SparkRunner")


def check_runner(name: str, place: str = "--runner") -> None:
    """Raises UnknownFlag: no runner has that name; says in which place it stands, and which may have been meant."""
    known = (*sorted(_IN_PROCESS), *_ELSEWHERE)
    if "." not in name and name not in known:
        raise UnknownFlag(f"{place}: there is no runner '{name}'{closest(name, known)}")


def choose(name: str, beam_flags: Sequence[str]) -> Runner:
    """The runner of that name, with Beam's flags in either spelling. A dotted name is a class of somebody's own.

    Raises:
      UnknownFlag: there is no such runner; names the one that may have been meant.
    """
    from batchpredict.runners.flags import spelled

    check_runner(name)
    if name.rpartition(".")[2] in _IN_PROCESS:
        from batchpredict.runners.in_process import InProcess

        return InProcess(spelled(beam_flags))
    if name in _PORTABLE:
        from batchpredict.runners.portable import PortableRunner

        return PortableRunner(name, spelled(beam_flags))
    if name == "DataflowRunner":
        from batchpredict.runners.dataflow import DataflowRunner

        return DataflowRunner(spelled(beam_flags))
    from batchpredict.runners.beam import BeamRunner

    return BeamRunner(name, spelled(beam_flags))


def import_engine(name: str) -> None:
    """Import what a runner needs to carry a work: it takes seconds, and is done otherwise when one is submitted."""
    import apache_beam  # noqa: F401

    if in_this_process(name):
        from apache_beam.runners.portability import fn_api_runner  # noqa: F401


def in_this_process(name: str) -> bool:
    """Whether a runner does works in the process that submits them."""
    return name in _IN_PROCESS
