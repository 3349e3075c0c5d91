"""The REST methods of watches."""

from __future__ import annotations

from batchpredict.service.rest.bodies import fields_of
from batchpredict.service.rest.calls import Answer, Call
from batchpredict.service.rest.guard import Guard
from batchpredict.service.rest.listing import listing
from batchpredict.service.rest.watch_methods import WatchMethods, epoch_resource, resource
from batchpredict.service.store.interface import Store


class Watches:
    """create, list, get, delete, pause, resume, retry, epochs."""

    def __init__(self, store: Store, guard: Guard, methods: WatchMethods) -> None:
        self._store = store
        self._guard = guard
        self._methods = methods

    def create(self, call: Call) -> Answer:
        if call.query.get("validateOnly"):
            new = self._methods.validated(call.project, call.body, call.caller)
            unset = {"labels": dict(new.labels), "webhook": new.webhook}
            return Answer(
                {
                    "watchId": new.watch_id,
                    **new.document,
                    **{name: value for name, value in unset.items() if value},
                }
            )
        watch = self._methods.create_watch(call.project, call.body, call.caller)
        document = resource(watch)
        return Answer(document, created=str(document["name"]))

    def list(self, call: Call) -> Answer:
        self._guard.project(call)
        asked = listing(call, "watches", {})
        watches, following = self._store.watches(call.project, size=asked.size, before=asked.position)
        return asked.page([resource(watch) for watch in watches], following)

    def get(self, call: Call) -> Answer:
        return Answer(resource(self._guard.watch(call)))

    def delete(self, call: Call) -> Answer:
        self._guard.watch(call)
        self._methods.delete(call.project, call.names["watch"])
        return Answer({})

    def pause(self, call: Call) -> Answer:
        self._change(call)
        return Answer(resource(self._methods.pause(call.project, call.names["watch"])))

    def resume(self, call: Call) -> Answer:
        self._change(call)
        return Answer(resource(self._methods.resume(call.project, call.names["watch"])))

    def retry(self, call: Call) -> Answer:
        self._change(call)
        return Answer(resource(self._methods.retry(call.project, call.names["watch"])))

    def epochs(self, call: Call) -> Answer:
        self._guard.watch(call)
        asked = listing(call, "epochs", {})
        found, following = self._store.epochs(
            call.project, call.names["watch"], size=asked.size, before=asked.position
        )
        models = {one.model for one in found}
        # Of a version people know the name, and not the folder of the service's copy.
        names = {uri: self._store.version_of(uri) or uri for uri in models}
        return asked.page([epoch_resource(call.project, one, names[one.model]) for one in found], following)

    def _change(self, call: Call) -> None:
        self._guard.watch(call)
        fields_of(call.body, ("name",))
