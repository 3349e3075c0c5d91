"""Machine types: what each has, and what an hour of it counts for in ML units.

An ML unit was $0.49 of machine time in the Americas, and a machine counted for what Compute Engine charged for it
and its accelerators. The service's price list (cloud.google.com/ml-engine/docs/pricing, 2019) is reproduced by
that rule to the last of its four decimals: n1-standard-4 at $0.1900 is 0.3878 units an hour, standard_gpu, an
n1-standard-8 with one K80, $0.3800 + $0.45 = 1.6939; STANDARD_1 comes to 4.0571 and PREMIUM_1 to 33.7829. The same
list says which Compute Engine type each name of 2017 stood for. A2 machines came later; theirs is the list price
of us-central1 in 2021.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from typing_extensions import Self

UNIT_DOLLARS = 0.49
"""Price of one ML unit."""


@dataclass(frozen=True)
class MachineType:
    """What a host must offer to be such a machine.

    Attributes:
      accelerators: how many.
      weight: ML units per hour.
    """

    name: str
    cores: int
    memory_gib: float
    accelerators: int
    weight: float


@dataclass(frozen=True)
class _Family:
    """Compute Engine types `<prefix><cores>`, all with the same memory and price a core."""

    prefix: str
    sizes: tuple[int, ...]
    gib: float
    dollars: float

    def members(self) -> Iterator[MachineType]:
        for cores in self.sizes:
            yield MachineType(f"{self.prefix}{cores}", cores, cores * self.gib, 0, _units(cores * self.dollars))


def _units(dollars: float) -> float:
    return round(dollars / UNIT_DOLLARS, 4)


_STANDARD = _Family("n1-standard-", (1, 2, 4, 8, 16, 32, 64, 96), 3.75, 0.0475)
_FAMILIES = (
    _STANDARD,
    _Family("n1-highmem-", (2, 4, 8, 16, 32, 64, 96), 6.5, 0.0592),
    _Family("n1-highcpu-", (2, 4, 8, 16, 32, 64, 96), 0.9, 0.03545),
)

# Of A2 types: accelerators, cores, GiB, dollars.
_A2 = {
    "a2-highgpu-1g": (1, 12, 85, 3.673385),
    "a2-highgpu-2g": (2, 24, 170, 7.34677),
    "a2-highgpu-4g": (4, 48, 340, 14.69354),
    "a2-highgpu-8g": (8, 96, 680, 29.38708),
    "a2-megagpu-16g": (16, 96, 1360, 55.739504),
}

ACCELERATOR_DOLLARS: Mapping[str, float] = MappingProxyType(
    {
        "NVIDIA_TESLA_K80": 0.45,
        "NVIDIA_TESLA_P4": 0.60,
        "NVIDIA_TESLA_P100": 1.46,
        "NVIDIA_TESLA_T4": 0.35,
        "NVIDIA_TESLA_V100": 2.48,
        "NVIDIA_TESLA_A100": 2.933908,
    }
)
"""Price of an hour of one accelerator, by the type that an acceleratorConfig names."""

# The names of 2017, then V100 machines: the Compute Engine type, accelerators and their type.
_NAMED = {
    "standard": ("n1-standard-4", 0, ""),
    "large_model": ("n1-highmem-8", 0, ""),
    "complex_model_s": ("n1-highcpu-8", 0, ""),
    "complex_model_m": ("n1-highcpu-16", 0, ""),
    "complex_model_l": ("n1-highcpu-32", 0, ""),
    "standard_gpu": ("n1-standard-8", 1, "NVIDIA_TESLA_K80"),
    "complex_model_m_gpu": ("n1-standard-16", 4, "NVIDIA_TESLA_K80"),
    "complex_model_l_gpu": ("n1-standard-32", 8, "NVIDIA_TESLA_K80"),
    "standard_p100": ("n1-standard-8", 1, "NVIDIA_TESLA_P100"),
    "complex_model_m_p100": ("n1-standard-16", 4, "NVIDIA_TESLA_P100"),
    "standard_v100": ("n1-standard-8", 1, "NVIDIA_TESLA_V100"),
    "large_model_v100": ("n1-highmem-8", 1, "NVIDIA_TESLA_V100"),
    "complex_model_m_v100": ("n1-standard-16", 4, "NVIDIA_TESLA_V100"),
    "complex_model_l_v100": ("n1-standard-32", 8, "NVIDIA_TESLA_V100"),
}


def with_accelerators(machine: MachineType, count: int, kind: str) -> MachineType:
    """The machine with accelerators attached: `kind` is a key of ACCELERATOR_DOLLARS."""
    weight = round(machine.weight + _units(count * ACCELERATOR_DOLLARS[kind]), 4)
    return MachineType(machine.name, machine.cores, machine.memory_gib, machine.accelerators + count, weight)


class MachineTypes:
    """The machine types of an installation, by name."""

    def __init__(self, types: Mapping[str, MachineType]) -> None:
        self._types = dict(types)

    def find(self, name: str) -> MachineType | None:
        return self._types.get(name)

    def nearest(self, name: str) -> str | None:
        """The known name that is most like `name`; None if none is."""
        # Half alike is enough: "n1-standard-5" has neighbours, "pumpkin" has none.
        found = difflib.get_close_matches(name.lower().replace("_", "-"), self._spelled(), n=1, cutoff=0.5)
        return self._spelled()[found[0]] if found else None

    def _spelled(self) -> dict[str, str]:
        return {name.lower().replace("_", "-"): name for name in self._types}

    def extended(self, document: Mapping[str, Any]) -> Self:
        """These types and one's own, which stand before them where the names are the same.

        Args:
          document: for each name an object of `cores`, `memoryGib`, and if wanted `accelerators` (default 0) and
            `weight` (ML units per hour; default: as an n1-standard of as many cores).

        Raises:
          ValueError: the document has another form; says where.
        """
        own = {name: _read(name, fields) for name, fields in document.items()}
        return type(self)({**self._types, **own})


def _read(name: str, fields: Any) -> MachineType:
    known = {"cores", "memoryGib", "accelerators", "weight"}
    if not isinstance(fields, Mapping):
        raise ValueError(f"Machine type {name}: expected an object with cores and memoryGib.")
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"Machine type {name}: unknown field {unknown[0]}; there are {', '.join(sorted(known))}.")
    cores = _number(name, fields, "cores", whole=True, positive=True)
    return MachineType(
        name,
        int(cores),
        _number(name, fields, "memoryGib", positive=True),
        int(_number(name, {"accelerators": 0, **fields}, "accelerators", whole=True)),
        _number(name, {"weight": _units(cores * _STANDARD.dollars), **fields}, "weight"),
    )


def _number(
    name: str, fields: Mapping[str, Any], field: str, *, whole: bool = False, positive: bool = False
) -> float:
    value: Any = fields.get(field)
    legal = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
    if not legal or (whole and value != int(value)) or (positive and value == 0):
        wanted = f"a {'positive' if positive else 'non-negative'} {'integer' if whole else 'number'}"
        raise ValueError(f"Machine type {name}: {field} must be {wanted}, got {value!r}.")
    return float(value)


def _all() -> dict[str, MachineType]:
    found = {machine.name: machine for family in _FAMILIES for machine in family.members()}
    for name, (accelerators, cores, gib, dollars) in _A2.items():
        found[name] = MachineType(name, cores, float(gib), accelerators, _units(dollars))
    for name, (like, count, kind) in _NAMED.items():
        same = found[like]
        bare = MachineType(name, same.cores, same.memory_gib, 0, same.weight)
        found[name] = with_accelerators(bare, count, kind) if count else bare
    return found


MACHINE_TYPES = MachineTypes(_all())
"""Those of the service: the names of 2017, their V100 successors, N1 and A2 machines of Compute Engine."""
