"""What is said of a method of the API.

Paths are written as Google writes them in its HTTP rules: `{name=projects/*/jobs/*}:cancel` is a path of four
segments with the verb `cancel`; the variable holds the whole resource name. Served below `/v1` and `/v1beta1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

VERSIONS = ("v1", "v1beta1")

_VARIABLE = re.compile(r"\{(\w+)=([^}]+)\}")
# One segment of a path that names something; projects alone may have a colon in their ids ("example.com:p").
SINGULAR = {
    "projects": "project",
    "jobs": "job",
    "models": "model",
    "versions": "version",
    "operations": "operation",
    "locations": "location",
    "watches": "watch",
}
PLURAL = {singular: plural for plural, singular in SINGULAR.items()}


@dataclass(frozen=True)
class Parameter:
    """A query parameter. `kind` is its type in JSON Schema; integers are int32."""

    name: str
    kind: Literal["string", "integer", "boolean"]
    description: str


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
      id: as in the discovery document, without the "ml.".
      verb: of HTTP.
      path: see the module's documentation.
      summary: one sentence.
      response: name of the message that it answers with.
      request: name of the message that it takes; "" for none.
      permission: what the caller needs; "" where the method decides by itself.
      on: the resource whose policy decides: "project", "job", "model" or "watch", which has none of its own.
      query: its parameters, beside the global ones.
      statuses: of the errors that it may answer, beside those of every method.
      additive: whether the service of 2017 did not have it.
    """

    id: str
    verb: str
    path: str
    summary: str
    response: str
    request: str = ""
    permission: str = ""
    on: str = "project"
    query: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = ()
    additive: bool = False

    @property
    def variable(self) -> str:
        """The name of the path's variable: "parent", "name" or "resource"."""
        return self._variable[0]

    @property
    def pattern(self) -> str:
        """What the variable holds: "projects/*/jobs/*"."""
        return self._variable[1]

    @property
    def _variable(self) -> tuple[str, str]:
        found = _VARIABLE.search(self.path)
        assert found is not None, self.path
        return found[1], found[2]

    @property
    def parts(self) -> tuple[str, ...]:
        """The ids in its path: ("project", "job")."""
        return tuple(SINGULAR[word] for word in self.pattern.split("/") if word != "*")

    @property
    def flat(self) -> str:
        """The path with each id by itself: "projects/{project}/jobs/{job}:cancel"."""
        words = self.pattern.split("/")
        named = [f"{{{SINGULAR[words[at - 1]]}}}" if word == "*" else word for at, word in enumerate(words)]
        return _VARIABLE.sub("/".join(named), self.path)


GLOBAL = (
    Parameter("$.xgafv", "string", "Error format, 1 or 2; both are the same here."),
    Parameter("access_token", "string", "Not read: send the token in the Authorization header."),
    Parameter("alt", "string", "Format of the answer: json."),
    Parameter("callback", "string", "Not read: answers are JSON, never script."),
    Parameter("fields", "string", "Which fields the answer shall have: jobs(jobId,state),nextPageToken."),
    Parameter("key", "string", "Not read."),
    Parameter("oauth_token", "string", "Not read: send the token in the Authorization header."),
    Parameter("prettyPrint", "boolean", "Whether the answer is indented."),
    Parameter("quotaUser", "string", "Not read."),
    Parameter("uploadType", "string", "Not read."),
    Parameter("upload_protocol", "string", "Not read."),
)
"""Parameters of every method of Google's APIs."""

PAGES = (
    Parameter("pageSize", "integer", "Most items of a page: 20 if not given, at most 100."),
    Parameter("pageToken", "string", "The nextPageToken of the page before, with the same filter."),
)
"""Of every list."""
