"""Every method of the API, in one table: routes, the OpenAPI description, the discovery document and the page of
methods are made from it.

Source: cmle-behaviour §4.1; `additive` marks what the service of 2017 did not have.
"""

from __future__ import annotations

from batchpredict.service.rest.method import PAGES, SINGULAR, Method, Parameter
from batchpredict.service.rest.watch_table import WATCHES

_FILTER = Parameter("filter", "string", 'Such as jobId:census* AND state=FAILED, or labels.team="blue".')
_MASK = Parameter("updateMask", "string", "Paths of the fields to change, with commas between.")
_POLICY_VERSION = Parameter("options.requestedPolicyVersion", "integer", "0, 1 or 3.")


def _policies(resource: str, pattern: str) -> tuple[Method, ...]:
    """The three methods of a resource's policy. `resource`: "projects.jobs"; `pattern`: of its names."""
    kind = resource.rpartition(".")[2]
    on, additive = SINGULAR[kind], kind == "projects"
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
        query=(_FILTER, *PAGES),
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
        query=(_FILTER, *PAGES),
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
        query=(_FILTER, *PAGES),
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
        query=(_FILTER, *PAGES, Parameter("returnPartialSuccess", "boolean", "Not read.")),
    ),
    *_operations("projects", "projects/*"),
    *_operations("projects.locations", "projects/*/locations/*"),
)

METHODS: tuple[Method, ...] = (*_JOBS, *_MODELS, *_PROJECTS, *WATCHES)
