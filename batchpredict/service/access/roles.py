"""Roles and their permissions, as Google's service had them.

    role                     for                       what it may
    roles/ml.admin           operators of a project    everything but change the project's own policy
    roles/ml.developer       who trains and predicts   create jobs and models, use all models, see everything
    roles/ml.viewer          who looks on              see everything
    roles/ml.jobOwner        one job                   all with it; its creator has this role
    roles/ml.modelOwner      one model                 all with it and its versions; its creator has this role
    roles/ml.modelUser       one model                 see it and its versions, and predict with them
    roles/ml.operationOwner  one operation             all with it; its creator has this role
    roles/ml.watchOwner      one watch                 all with it; its creator has this role
    roles/owner              owners of a project       as ml.admin, and change the project's policy
    roles/editor             everybody of a project    as ml.admin
    roles/viewer             everybody of a project    as ml.viewer, and predict

A role holds on the resource whose policy grants it and on whatever belongs to that: on a project it holds for all
its jobs and models, on a model for its versions.

Two permissions are our own: `ml.projects.getIamPolicy` and `ml.projects.setIamPolicy`, for the policy of a project,
which at Google was another service's. So are those of watches, which Google did not have; a watch has no policy of
its own, that of its project counts. Permissions for what this service does not have (studies, trials, locations)
are known, so that clients may ask for them.

Source: https://cloud.google.com/iam/docs/roles-permissions/ml; the roles as `gcloud iam roles describe` gives them.
https://cloud.google.com/ml-engine/docs/access-control says what the basic roles are equal to.
"""

from __future__ import annotations

from collections.abc import Mapping

JOB_OWNER = "roles/ml.jobOwner"
MODEL_OWNER = "roles/ml.modelOwner"
OPERATION_OWNER = "roles/ml.operationOwner"
WATCH_OWNER = "roles/ml.watchOwner"


def _all(kind: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"ml.{kind}.{verb}" for verb in verbs)


_JOBS = _all("jobs", "cancel", "create", "get", "getIamPolicy", "list", "setIamPolicy", "update")
_MODELS = _all("models", "create", "delete", "get", "getIamPolicy", "list", "predict", "setIamPolicy", "update")
_VERSIONS = _all("versions", "create", "delete", "get", "list", "predict", "update")
_OPERATIONS = _all("operations", "cancel", "get", "list")
_LOCATIONS = _all("locations", "get", "list")
_STUDIES = _all("studies", "create", "delete", "get", "getIamPolicy", "list", "setIamPolicy")
_TRIALS = _all("trials", "create", "delete", "get", "list", "update")
_WATCHES = _all("watches", "create", "delete", "get", "list", "update")
_PROJECT = frozenset(("ml.projects.getConfig", "resourcemanager.projects.get"))
_POLICY = _all("projects", "getIamPolicy", "setIamPolicy")

_VIEWER = (
    _all("jobs", "get", "list")
    | _all("models", "get", "list")
    | _all("versions", "get", "list")
    | _all("operations", "get", "list")
    | _all("studies", "get", "getIamPolicy", "list")
    | _all("trials", "get", "list")
    | _all("watches", "get", "list")
    | _LOCATIONS
    | _PROJECT
)
_PREDICT = frozenset(("ml.models.predict", "ml.versions.predict"))
_DEVELOPER = (
    _VIEWER
    | _PREDICT
    | _all("jobs", "create", "getIamPolicy")
    | _all("models", "create", "getIamPolicy")
    | _all("watches", "create")
    | _STUDIES
) | _TRIALS
_ADMIN = (_JOBS | _MODELS | _VERSIONS | _OPERATIONS | _WATCHES | _LOCATIONS | _STUDIES | _TRIALS | _PROJECT) | _all(
    "projects", "getIamPolicy"
)

ROLES: Mapping[str, frozenset[str]] = {
    "roles/ml.admin": _ADMIN,
    "roles/ml.developer": _DEVELOPER,
    "roles/ml.viewer": _VIEWER,
    JOB_OWNER: _JOBS,
    MODEL_OWNER: _MODELS | _VERSIONS,
    "roles/ml.modelUser": _all("models", "get", "predict") | _all("versions", "get", "list", "predict"),
    OPERATION_OWNER: _OPERATIONS,
    WATCH_OWNER: _WATCHES,
    "roles/owner": _ADMIN | _POLICY,
    "roles/editor": _ADMIN,
    "roles/viewer": _VIEWER | _PREDICT,
}
"""The permissions of each role, by its name in a policy."""

PERMISSIONS = frozenset().union(*ROLES.values())
"""Every permission that there is."""
