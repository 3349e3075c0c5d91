"""One call of a method: who asks, for what, with which parameters; and what it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchpredict.errors import InvalidName, Violation
from batchpredict.resources import JobName, ModelName, OperationName, ProjectName, VersionName, WatchName
from batchpredict.service.access.interface import Caller
from batchpredict.service.rest.bodies import snake, text_fault
from batchpredict.service.rest.errors import invalid, not_found, wrong
from batchpredict.service.rest.method import GLOBAL, PLURAL, Method, Parameter

_LOCATION = re.compile(r"[A-Za-z0-9-]{1,64}")
_INT32 = re.compile(r"-?[0-9]{1,10}")
_TRUTH = {"true": True, "1": True, "": True, "false": False, "0": False}
_IGNORED = frozenset(parameter.name for parameter in GLOBAL)


@dataclass(frozen=True)
class Call:
    """One call of a method.

    Attributes:
      method: which.
      caller: who.
      names: the ids in its path, legal ones: {"project": …, "job": …}.
      query: its parameters by name, as bool, int or str; absent if not given.
      body: its fields as they were sent; empty if there was no body.
    """

    method: Method
    caller: Caller
    names: Mapping[str, str]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def project(self) -> str:
        return self.names["project"]

    @property
    def resource(self) -> str:
        """The full name of what it is about: "projects/p/jobs/j"; of its parent for create and list."""
        return resource_of(self.method, self.names)

    @property
    def guarded(self) -> str:
        """The resource whose policy decides: that of a version is its model's."""
        if self.method.on == "project":
            return f"projects/{self.project}"
        return f"projects/{self.project}/{PLURAL[self.method.on]}/{self.names[self.method.on]}"


@dataclass(frozen=True)
class Answer:
    """What a method answers.

    Attributes:
      document: JSON values.
      created: the full name of what was created, for the Location header; "" for nothing.
    """

    document: Mapping[str, Any]
    created: str = ""


def resource_of(method: Method, names: Mapping[str, str]) -> str:
    """The resource name that the path of a method holds."""
    return "/".join(f"{PLURAL[part]}/{names[part]}" for part in method.parts)


def check_names(method: Method, names: Mapping[str, str]) -> None:
    """Names of a path that cannot be anybody's are not found, before anything is asked of anybody.

    Raises:
      Problem: 404.
    """
    project = names["project"]
    try:
        ProjectName(project)
        if "job" in names:
            JobName(project, names["job"])
        if "watch" in names:
            WatchName(project, names["watch"])
        if "version" in names:
            VersionName(project, names["model"], names["version"])
        elif "model" in names:
            ModelName(project, names["model"])
        if "operation" in names:
            OperationName(project, names["operation"])
    except InvalidName:
        raise not_found(resource_of(method, names)) from None
    too_long = any(len(name) > 128 for name in names.values())
    if too_long or not _LOCATION.fullmatch(names.get("location", "here")):
        raise not_found(resource_of(method, names))


def read_query(method: Method, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The parameters of a method, in either spelling; the last one counts.

    Raises:
      Problem: one that the method does not have, or a value of another type.
    """
    known = {parameter.name: parameter for parameter in method.query}
    known.update({snake(parameter.name): parameter for parameter in method.query})
    found: dict[str, Any] = {}
    violations = []
    for name, text in given:
        parameter = known.get(name)
        fault = text_fault(name) or text_fault(text)
        if fault:
            violations.append(Violation(snake(parameter.name) if parameter else "", fault))
        elif parameter is not None:
            value = _value(parameter, text)
            if value is None:
                violations.append(_bad_value(parameter, text))
            found[parameter.name] = value
        elif name not in _IGNORED and name not in ("pretty_print", "pp", "quota_user"):
            shown = name[:80]
            text = (
                f'Invalid JSON payload received. Unknown name "{shown}": Cannot bind query parameter.'
                f" Field '{shown}' could not be found in request message."
            )
            violations.append(Violation("", text))
    if violations:
        raise invalid(violations)
    return found


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.kind == "boolean":
        return _TRUTH.get(text.lower())
    if parameter.kind == "string":
        return text
    if not _INT32.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        return None
    return int(text)


def _bad_value(parameter: Parameter, text: str) -> Violation:
    kind = {"boolean": "TYPE_BOOL", "integer": "TYPE_INT32"}[parameter.kind]
    where = snake(parameter.name)
    return Violation(where, f"Invalid value at '{where}' ({kind}), \"{text[:80]}\"")


def truth(name: str, text: str) -> bool:
    """A global parameter that is true or false."""
    value = _TRUTH.get(text.lower())
    if value is None:
        raise wrong(snake(name), f'Expected true or false, got "{text[:80]}".')
    return value
