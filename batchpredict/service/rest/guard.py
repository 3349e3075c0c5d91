"""What a call is about, once it is certain that the caller may do this with it."""

from __future__ import annotations

import contextlib

from batchpredict.service.access.interface import Access
from batchpredict.service.rest.calls import Call
from batchpredict.service.store.interface import Missing, Store, StoredJob, StoredModel
from batchpredict.service.store.watching import StoredWatch

# Whoever may do this with a model may do that with its operations.
_ON_MODEL = {"ml.operations.get": "ml.versions.get", "ml.operations.cancel": "ml.versions.create"}


class Guard:
    """Finds the resource of a call and asks for the permission of its method.

    Every method raises Missing or Hidden, whose answers are the same, and Forbidden.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def project(self, call: Call) -> None:
        self._access.require(call.caller, call.method.permission, f"projects/{call.project}")

    def operation(self, call: Call) -> None:
        """The operation of the call: by the project, or by the model that it is about.

        Whoever owns a model may have no role in its project, and has to see what became of a version.
        """
        project = f"projects/{call.project}"
        if self._access.may(call.caller, call.method.permission, project):
            return
        with contextlib.suppress(Missing):
            operation = self._store.operation(call.project, call.names["operation"])
            name = str(operation.document.get("metadata", {}).get("modelName", ""))
            model = self._store.model(call.project, name.rpartition("/")[2])
            permission = _ON_MODEL[call.method.permission]
            if self._access.may(call.caller, permission, name, owner=model.creator):
                return
        self._access.require(call.caller, call.method.permission, project)

    def job(self, call: Call) -> StoredJob:
        job = self._store.job(call.project, call.names["job"])
        self._access.require(call.caller, call.method.permission, call.guarded, owner=job.new.creator)
        return job

    def watch(self, call: Call) -> StoredWatch:
        watch = self._store.watch(call.project, call.names["watch"])
        self._access.require(call.caller, call.method.permission, call.guarded, owner=watch.new.creator)
        return watch

    def model(self, call: Call) -> StoredModel:
        """The model of the call; of a version the one that it is of."""
        model = self._store.model(call.project, call.names["model"])
        self._access.require(call.caller, call.method.permission, call.guarded, owner=model.creator)
        return model

    def resource(self, call: Call) -> None:
        """The job, model or project of the call, whichever it is about."""
        if "job" in call.names:
            self.job(call)
        elif "model" in call.names:
            self.model(call)
        else:
            self.project(call)

    def owner(self, call: Call) -> str:
        """Who created the resource of the call; "" for a project. Raises Missing. Asks for no permission."""
        if "job" in call.names:
            return self._store.job(call.project, call.names["job"]).new.creator
        if "model" in call.names:
            return self._store.model(call.project, call.names["model"]).creator
        return ""
