"""Every method of the API, in one table: routes, the OpenAPI description, the discovery document and the page of
methods are made from it.

Paths are written as Google writes them in its HTTP rules: `{name=projects/*/jobs/*}:cancel` is a path of four
segments with the verb `cancel`; the variable holds the whole resource name. Served below `/v1` and `/v1beta1`.

Source: cmle-behaviour §4.1; `additive` marks what the service of 2017 did not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

VERSIONS = ("v1", "v1beta1")

_VARIABLE = re.compile(r"\{(\w+)=([^}]+)\}")
# One segment of a path that names something; projects alone may have a colon in their ids ("example.com:p").
_SINGULAR = {
    "projects": "project",
    "jobs": "job",
    "models": "model",
    "versions": "version",
    "operations": "operation",
    "locations": "location",
}


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
      on: the resource whose policy decides: "project", "job" or "model".
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
        return tuple(_SINGULAR[word] for word in self.pattern.split("/") if word != "*")

    @property
    def flat(self) -> str:
        """The path with each id by itself: "projects/{project}/jobs/{job}:cancel"."""
        words = self.pattern.split("/")
        named = [f"{{{_SINGULAR[words[at - 1]]}}}" if word == "*" else word for at, word in enumerate(words)]
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

_PAGES = (
    Parameter("pageSize", "integer", "Most items of a page: 20 if not given, at most 100."),
    Parameter("pageToken", "string", "The nextPageToken of the page before, with the same filter."),
)
_FILTER = Parameter("filter", "string", 'Such as jobId:census* AND state=FAILED, or labels.team="blue".')
_MASK = Parameter("updateMask", "string", "Paths of the fields to change, with commas between.")
_POLICY_VERSION = Parameter("options.requestedPolicyVersion", "integer", "0, 1 or 3.")


def _policies(resource: str, pattern: str) -> tuple[Method, ...]:
    """The three methods of a resource's policy. `resource`: "projects.jobs"; `pattern`: of its names."""
    kind = resource.rpartition(".")[2]
    on, additive = _SINGULAR[kind], kind == "projects"
    path = f"{{resource={pattern}}}"
    return (
        Method(
            f"{resource}.getIamPolicy",
            "GET",
            f"{path}:getIamPolicy",
            f"The access control policy of a {on}; an empty one if none was set.",
            "Policy",
            permission=f"ml.{kind}.getIamPolicy",
            on=on,
            query=(_POLICY_VERSION,),
            additive=additive,
        ),
        Method(
            f"{resource}.setIamPolicy",
            "POST",
            f"{path}:setIamPolicy",
            f"Replaces the access control policy of a {on}.",
            "Policy",
            request="SetIamPolicyRequest",
            permission=f"ml.{kind}.setIamPolicy",
            on=on,
            statuses=(409,),
            additive=additive,
        ),
        Method(
            f"{resource}.testIamPermissions",
            "POST",
            f"{path}:testIamPermissions",
            f"Which of some permissions the caller has on a {on}; none if there is no such {on}.",
            "TestIamPermissionsResponse",
            request="TestIamPermissionsRequest",
            on=on,
            additive=additive,
        ),
    )


_JOB = "{name=projects/*/jobs/*}"
_MODEL = "{name=projects/*/models/*}"
_VERSION = "{name=projects/*/models/*/versions/*}"

_JOBS = (
    Method(
        "projects.jobs.create",
        "POST",
        "{parent=projects/*}/jobs",
        "Creates a job, which is then queued.",
        "Job",
        request="Job",
        permission="ml.jobs.create",
        query=(Parameter("validateOnly", "boolean", "Check the job as a create would, and create nothing."),),
        statuses=(409, 429),
    ),
    Method(
        "projects.jobs.list",
        "GET",
        "{parent=projects/*}/jobs",
        "The jobs of a project, newest first.",
        "ListJobsResponse",
        permission="ml.jobs.list",
        query=(_FILTER, *_PAGES),
    ),
    Method(
        "projects.jobs.get",
        "GET",
        _JOB,
        "Describes a job.",
        "Job",
        permission="ml.jobs.get",
        on="job",
        query=(Parameter("progress", "boolean", "With how far the job is, for people who watch it."),),
    ),
    Method(
        "projects.jobs.patch",
        "PATCH",
        _JOB,
        "Replaces the labels of a job; with an etag only if it is the one that the job has.",
        "Job",
        request="Job",
        permission="ml.jobs.update",
        on="job",
        query=(_MASK,),
        statuses=(409,),
    ),
    Method(
        "projects.jobs.cancel",
        "POST",
        f"{_JOB}:cancel",
        "Cancels a job that has not ended.",
        "Empty",
        request="CancelJobRequest",
        permission="ml.jobs.cancel",
        on="job",
    ),
    Method(
        "projects.jobs.logs",
        "GET",
        f"{_JOB}:logs",
        "The log of a job: one JSON object a line.",
        "LogLine",
        permission="ml.jobs.get",
        on="job",
        query=(
            Parameter("follow", "boolean", "Go on as the log grows, until the job has ended."),
            Parameter("after", "integer", "Leave out lines up to this number."),
        ),
        additive=True,
    ),
    *_policies("projects.jobs", "projects/*/jobs/*"),
)

_MODELS = (
    Method(
        "projects.models.create",
        "POST",
        "{parent=projects/*}/models",
        "Creates a model, which has no versions yet.",
        "Model",
        request="Model",
        permission="ml.models.create",
        statuses=(409,),
    ),
    Method(
        "projects.models.list",
        "GET",
        "{parent=projects/*}/models",
        "The models of a project, in the order of their creation.",
        "ListModelsResponse",
        permission="ml.models.list",
        query=(_FILTER, *_PAGES),
    ),
    Method(
        "projects.models.get", "GET", _MODEL, "Describes a model.", "Model", permission="ml.models.get", on="model"
    ),
    Method(
        "projects.models.patch",
        "PATCH",
        _MODEL,
        "Changes description, labels or the default version of a model.",
        "Operation",
        request="Model",
        permission="ml.models.update",
        on="model",
        query=(_MASK,),
        statuses=(409,),
    ),
    Method(
        "projects.models.delete",
        "DELETE",
        _MODEL,
        "Deletes a model that has no versions.",
        "Operation",
        permission="ml.models.delete",
        on="model",
        statuses=(409,),
    ),
    *_policies("projects.models", "projects/*/models/*"),
    Method(
        "projects.models.versions.create",
        "POST",
        "{parent=projects/*/models/*}/versions",
        "Copies a SavedModel as a version of a model; the first one becomes its default.",
        "Operation",
        request="Version",
        permission="ml.versions.create",
        on="model",
        statuses=(409,),
    ),
    Method(
        "projects.models.versions.list",
        "GET",
        "{parent=projects/*/models/*}/versions",
        "The versions of a model, in the order of their creation.",
        "ListVersionsResponse",
        permission="ml.versions.list",
        on="model",
        query=(_FILTER, *_PAGES),
    ),
    Method(
        "projects.models.versions.get",
        "GET",
        _VERSION,
        "Describes a version.",
        "Version",
        permission="ml.versions.get",
        on="model",
    ),
    Method(
        "projects.models.versions.patch",
        "PATCH",
        _VERSION,
        "Changes description or labels of a version.",
        "Operation",
        request="Version",
        permission="ml.versions.update",
        on="model",
        query=(_MASK,),
        statuses=(409,),
    ),
    Method(
        "projects.models.versions.delete",
        "DELETE",
        _VERSION,
        "Deletes a version; the default one only as the last.",
        "Operation",
        permission="ml.versions.delete",
        on="model",
        statuses=(409,),
    ),
    Method(
        "projects.models.versions.setDefault",
        "POST",
        f"{_VERSION}:setDefault",
        "Makes a version the one that the model's name means.",
        "Version",
        request="SetDefaultVersionRequest",
        permission="ml.versions.update",
        on="model",
        statuses=(409,),
    ),
)


def _operations(resource: str, pattern: str) -> tuple[Method, ...]:
    path = f"{{name={pattern}/operations/*}}"
    return (
        Method(
            f"{resource}.operations.get",
            "GET",
            path,
            "How far an operation is, and what came of it.",
            "Operation",
            permission="ml.operations.get",
        ),
        Method(
            f"{resource}.operations.cancel",
            "POST",
            f"{path}:cancel",
            "Asks an operation to stop.",
            "Empty",
            request="CancelOperationRequest",
            permission="ml.operations.cancel",
            statuses=(409,),
        ),
    )


_PROJECTS = (
    Method(
        "projects.getConfig",
        "GET",
        "{name=projects/*}:getConfig",
        "Who the jobs of a project run as.",
        "GetConfigResponse",
        permission="ml.projects.getConfig",
    ),
    *_policies("projects", "projects/*"),
    Method(
        "projects.operations.list",
        "GET",
        "{name=projects/*}/operations",
        "The operations of a project.",
        "ListOperationsResponse",
        permission="ml.operations.list",
        query=(_FILTER, *_PAGES, Parameter("returnPartialSuccess", "boolean", "Not read.")),
    ),
    *_operations("projects", "projects/*"),
    *_operations("projects.locations", "projects/*/locations/*"),
)

METHODS: tuple[Method, ...] = (*_JOBS, *_MODELS, *_PROJECTS)
