"""The names of things: ``projects/p/jobs/j`` and its relatives, as value classes with parse and format.

The forms are those of the v1 REST API (``projects/P/jobs/J``, ``projects/P/models/M/versions/V``, …). Ids of
jobs, models and versions share one rule: letters, digits and underscores, a letter first, at most 128
characters, case matters. A name that was parsed is safe to use as a part of a path: no part of it can hold a
slash or be ``.`` or ``..``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

from batchpredict.errors import InvalidName

ID_RULE = "A name should start with a letter and contain only letters, numbers and underscores."
MAX_ID_LENGTH = 128

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Project ids, project numbers and ids scoped by a domain ("example.com:project").
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
# The service's own operations were called like "create_census_v1-1494535398000".
_OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

_Name = TypeVar("_Name", bound="_ResourceName")


def id_fault(text: str) -> str | None:
    """What is wrong with `text` as the id of a job, a model or a version; None if nothing is."""
    if not _ID.fullmatch(text):
        return ID_RULE
    if len(text) > MAX_ID_LENGTH:
        return f"A name should have at most {MAX_ID_LENGTH} characters; this one has {len(text)}."
    return None


@dataclass(frozen=True)
class _ResourceName:
    """A name whose parts are the fields of a frozen dataclass, in the order of `FORM`."""

    FORM: ClassVar[str]

    def __post_init__(self) -> None:
        for part in fields(self):
            fault = _fault(part.name, getattr(self, part.name))
            if fault:
                raise InvalidName(f'"{self.format()}" is not of the form "{self.FORM}": {part.name}: {fault}')

    @classmethod
    def parse(cls: type[_Name], text: str) -> _Name:
        """Read the full name.

        Raises:
            InvalidName: `text` has another form, or one of its parts is not a legal id.
        """
        given, expected = text.split("/"), cls.FORM.split("/")
        # A word of the form in capitals is a part to be filled in; every other word stands for itself.
        if len(given) != len(expected) or any(
            word != want for word, want in zip(given, expected, strict=True) if not want.isupper()
        ):
            raise InvalidName(f'"{text}" is not a name of the form "{cls.FORM}".')
        return cls(*(word for word, want in zip(given, expected, strict=True) if want.isupper()))

    def format(self) -> str:
        """The full name, the inverse of `parse`."""
        return "/".join(getattr(self, word.lower()) if word.isupper() else word for word in self.FORM.split("/"))

    def __str__(self) -> str:
        return self.format()


def _fault(part: str, text: str) -> str | None:
    if part == "project":
        return None if _PROJECT.fullmatch(text) else "letters, digits, dots, colons and dashes only."
    if part == "operation":
        return None if _OPERATION.fullmatch(text) else "letters, digits, underscores and dashes only."
    return id_fault(text)


@dataclass(frozen=True)
class ProjectName(_ResourceName):
    """``projects/PROJECT``"""

    FORM = "projects/PROJECT"
    project: str


@dataclass(frozen=True)
class JobName(_ResourceName):
    """``projects/PROJECT/jobs/JOB``"""

    FORM = "projects/PROJECT/jobs/JOB"
    project: str
    job: str

    @property
    def parent(self) -> ProjectName:
        return ProjectName(self.project)


@dataclass(frozen=True)
class WatchName(_ResourceName):
    """``projects/PROJECT/watches/WATCH``"""

    FORM = "projects/PROJECT/watches/WATCH"
    project: str
    watch: str

    @property
    def parent(self) -> ProjectName:
        return ProjectName(self.project)


@dataclass(frozen=True)
class ModelName(_ResourceName):
    """``projects/PROJECT/models/MODEL``"""

    FORM = "projects/PROJECT/models/MODEL"
    project: str
    model: str

    @property
    def parent(self) -> ProjectName:
        return ProjectName(self.project)


@dataclass(frozen=True)
class VersionName(_ResourceName):
    """``projects/PROJECT/models/MODEL/versions/VERSION``"""

    FORM = "projects/PROJECT/models/MODEL/versions/VERSION"
    project: str
    model: str
    version: str

    @property
    def parent(self) -> ModelName:
        return ModelName(self.project, self.model)


@dataclass(frozen=True)
class OperationName(_ResourceName):
    """``projects/PROJECT/operations/OPERATION``"""

    FORM = "projects/PROJECT/operations/OPERATION"
    project: str
    operation: str

    @property
    def parent(self) -> ProjectName:
        return ProjectName(self.project)
