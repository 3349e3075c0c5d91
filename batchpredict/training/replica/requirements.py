"""What installed packages need, and what of it is not there.

A program's packages come before those of this environment, which has TensorFlow and more than a hundred others.
What is there already is not installed again: an installer told to fill a folder of its own would fetch all of
them, and a second numpy would shadow the one that TensorFlow was built for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

# One package by several names: a program that asks for one is served by the others, and two would not do.
_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos")


@dataclass
class Need:
    """All that is asked of one package.

    Attributes:
      name: as somebody wrote it.
      url: where it is to come from, if somebody says so.
      by: who asks.
    """

    name: str
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    url: str | None = None
    by: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}{self.specifier}"


def unmet(site: str) -> list[Need]:
    """What the packages in a folder need that is neither there nor in this environment, sorted by name."""
    here: dict[str, metadata.Distribution] = {
        canonicalize_name(one.metadata["Name"]): one for one in metadata.distributions(path=[site])
    }
    needs: dict[str, Need] = {}
    seen: set[tuple[str, str]] = set()
    open_ = [(one, "") for one in here.values()]
    while open_:
        distribution, extra = open_.pop()
        by = str(distribution.metadata["Name"])
        if (canonicalize_name(by), extra) in seen:
            continue
        seen.add((canonicalize_name(by), extra))
        for requirement in _requirements(distribution, extra):
            name = canonicalize_name(requirement.name)
            need = needs.setdefault(name, Need(requirement.name))
            need.specifier &= requirement.specifier
            need.url = need.url or requirement.url
            need.by.add(by)
            found = here.get(name) or _installed(requirement.name)
            if found is not None:
                open_ += [(found, one) for one in requirement.extras]
    return [needs[name] for name in sorted(needs) if not _met(needs[name], here.get(name))]


def is_met(text: str) -> bool:
    """Whether this environment has what a requirement asks for; False if it cannot be read."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return True
    return not requirement.extras and _met(Need(requirement.name, requirement.specifier), None)


def _met(need: Need, found: metadata.Distribution | None) -> bool:
    found = found or _installed(need.name)
    return found is not None and need.specifier.contains(found.version, prereleases=True)


def _requirements(distribution: metadata.Distribution, extra: str) -> Iterator[Requirement]:
    """What a package needs by itself or, where an extra is named, for that."""
    for text in distribution.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # Of a time before PEP 508; installers pass over it too.
        marker = requirement.marker
        plain = marker is None or marker.evaluate({"extra": ""})
        if plain if not extra else not plain and marker is not None and marker.evaluate({"extra": extra}):
            yield requirement


def _installed(name: str) -> metadata.Distribution | None:
    names = [name]
    if canonicalize_name(name) in _TENSORFLOWS:
        names += _TENSORFLOWS
    for one in names:
        try:
            return metadata.distribution(one)
        except metadata.PackageNotFoundError:
            continue
    return None
