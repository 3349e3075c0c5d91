"""Promises, figures and verdicts as Markdown."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import Any

_HEAD = ("what", "figure", "compared with", "ratio", "target", "verdict")
_PACKAGES = ("tensorflow", "apache-beam", "numpy", "orjson", "google-crc32c", "pyarrow")


@dataclass(frozen=True)
class Target:
    """A bound that a ratio must keep."""

    bound: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"

    def held(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound


@dataclass(frozen=True)
class Row:
    """One measurement. Without a target it is for information."""

    what: str
    figure: str
    compared: str = ""
    ratio: float | None = None
    target: Target | None = None

    @property
    def verdict(self) -> str:
        if self.ratio is None or self.target is None:
            return ""
        if not math.isfinite(self.ratio):
            return "too short to say"
        return "held" if self.target.held(self.ratio) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        target = "" if self.target is None else str(self.target)
        return self.what, self.figure, self.compared, ratio, target, self.verdict


@dataclass
class Table:
    """What one section found out."""

    promise: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [_line(_HEAD), _line(["---"] * len(_HEAD)), *(_line(row.cells()) for row in self.rows)]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"### {self.promise}", "", *lines, *([""] if notes else []), *notes, ""])

    def to_json(self) -> dict[str, Any]:
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        return {"promise": self.promise, "rows": rows, "notes": self.notes}


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def speed(per_second: float) -> str:
    if not math.isfinite(per_second):
        return "?"
    return f"{per_second / 1000:.0f} k records/s"


def mebibytes(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def machine(cores: int) -> str:
    """The machine and the versions that the figures hold for."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return (
        f"{cores} cores, {_cpu()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def _cpu() -> str:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
