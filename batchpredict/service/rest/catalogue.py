"""The REST methods of models, versions and operations: permissions, bodies and pages around the registry."""

from __future__ import annotations

from batchpredict.service.filters import MODEL_FIELDS, VERSION_FIELDS
from batchpredict.service.rest import labels
from batchpredict.service.rest.bodies import fields_of
from batchpredict.service.rest.calls import Answer, Call
from batchpredict.service.rest.field_masks import paths
from batchpredict.service.rest.guard import Guard
from batchpredict.service.rest.interface import Registry
from batchpredict.service.rest.listing import listing


class Models:
    """create, list, get, patch, delete."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._registry = registry
        self._guard = guard

    def create(self, call: Call) -> Answer:
        self._guard.project(call)
        labels.check(call.body.get("labels"), "model.labels")
        document = self._registry.create_model(call.project, call.body, call.caller.member)
        return Answer(document, created=str(document["name"]))

    def list(self, call: Call) -> Answer:
        self._guard.project(call)
        asked = listing(call, "models", MODEL_FIELDS)
        models, following = self._registry.models(
            call.project, where=asked.where, size=asked.size, after=asked.position
        )
        return asked.page(models, following)

    def get(self, call: Call) -> Answer:
        self._guard.model(call)
        return Answer(self._registry.model(call.project, call.names["model"]))

    def patch(self, call: Call) -> Answer:
        self._guard.model(call)
        labels.check(call.body.get("labels"), "model.labels")
        mask = paths(call.query.get("updateMask", ""))
        return Answer(self._registry.patch_model(call.project, call.names["model"], call.body, mask))

    def delete(self, call: Call) -> Answer:
        self._guard.model(call)
        return Answer(self._registry.delete_model(call.project, call.names["model"]))


class Versions:
    """create, list, get, patch, delete, setDefault."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._registry = registry
        self._guard = guard

    def create(self, call: Call) -> Answer:
        self._guard.model(call)
        labels.check(call.body.get("labels"), "version.labels")
        model = call.names["model"]
        operation = self._registry.create_version(call.project, model, call.body, call.caller.member)
        # The version, and not the operation that fills it: that is what the caller asked to have created.
        name = str(call.body.get("name", ""))
        return Answer(operation, created=f"projects/{call.project}/models/{model}/versions/{name}")

    def list(self, call: Call) -> Answer:
        self._guard.model(call)
        asked = listing(call, "versions", VERSION_FIELDS)
        versions, following = self._registry.versions(
            call.project, call.names["model"], where=asked.where, size=asked.size, after=asked.position
        )
        return asked.page(versions, following)

    def get(self, call: Call) -> Answer:
        self._guard.model(call)
        return Answer(self._registry.version(*_version(call)))

    def patch(self, call: Call) -> Answer:
        self._guard.model(call)
        labels.check(call.body.get("labels"), "version.labels")
        mask = paths(call.query.get("updateMask", ""))
        return Answer(self._registry.patch_version(*_version(call), call.body, mask))

    def delete(self, call: Call) -> Answer:
        self._guard.model(call)
        return Answer(self._registry.delete_version(*_version(call)))

    def set_default(self, call: Call) -> Answer:
        self._guard.model(call)
        fields_of(call.body, ("name",))
        return Answer(self._registry.set_default(*_version(call)))


class Operations:
    """list, get, cancel."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._registry = registry
        self._guard = guard

    def list(self, call: Call) -> Answer:
        self._guard.project(call)
        asked = listing(call, "operations", {})
        operations, following = self._registry.operations(call.project, size=asked.size, after=asked.position)
        return asked.page(operations, following)

    def get(self, call: Call) -> Answer:
        self._guard.operation(call)
        return Answer(self._registry.operation(call.project, call.names["operation"]))

    def cancel(self, call: Call) -> Answer:
        self._guard.operation(call)
        fields_of(call.body, ("name",))
        self._registry.cancel_operation(call.project, call.names["operation"])
        return Answer({})


def _version(call: Call) -> tuple[str, str, str]:
    return call.project, call.names["model"], call.names["version"]
