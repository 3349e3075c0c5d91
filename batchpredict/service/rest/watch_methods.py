"""What can be done with watches, with checks: behind the REST methods and the console's forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchpredict.errors import InvalidJob, Violation
from batchpredict.job import WATCH_LABEL, Watch, to_timestamp
from batchpredict.service.access.interface import Access, Caller
from batchpredict.service.queue.leading import Pause, Resume
from batchpredict.service.rest import labels
from batchpredict.service.rest.bodies import camel
from batchpredict.service.rest.errors import Problem, invalid, wrong
from batchpredict.service.rest.interface import WatchCheck
from batchpredict.service.rest.job_methods import WebhookCheck
from batchpredict.service.store.interface import Exists, Missing, Store
from batchpredict.service.store.watching import NewWatch, StoredEpoch, StoredWatch


class WatchMethods:
    """Create, delete, pause, resume and retry. Used from many threads."""

    def __init__(self, store: Store, access: Access, check: WatchCheck, webhook: WebhookCheck) -> None:
        self._store = store
        self._access = access
        self._check = check
        self._webhook = webhook

    def draft(self, project: str, document: Mapping[str, Any], caller: Caller) -> NewWatch:
        """The watch of a create request, with everything checked but whether its id is free.

        Raises:
          Forbidden, Hidden: the caller may not create watches in this project, or jobs, which are what it creates.
          InvalidJob, Problem: what is wrong with the document.
          whatever `WatchCheck` raises; 409 instead if the id is taken.
        """
        for permission in ("ml.watches.create", "ml.jobs.create"):
            self._access.require(caller, permission, f"projects/{project}")
        sent = dict(document)
        webhook = sent.pop("webhook", None)
        if webhook is not None and not isinstance(webhook, str):
            raise wrong("watch.webhook", "Expected a string.")
        try:
            watch = Watch.submitted(sent)
        except InvalidJob as error:
            raise invalid(error.violations) from None
        tags = labels.check(watch.labels, "watch.labels")
        if WATCH_LABEL in tags:
            raise wrong("watch.labels", f'"{WATCH_LABEL}" is the label by which the jobs of a watch are found.')
        if len(tags) >= labels.MAX_LABELS:
            raise wrong("watch.labels", f"Expected at most {labels.MAX_LABELS - 1} labels, got {len(tags)}.")
        try:
            pinned = self._check(project, watch, caller)
        except Exception:
            self._refuse_taken(project, watch.watch_id)
            raise
        return NewWatch(
            project=project,
            watch_id=watch.watch_id,
            document=_kept(sent),
            labels=tags,
            creator=caller.member,
            pinned=pinned,
            webhook=self._told(webhook) if webhook else "",
        )

    def validated(self, project: str, document: Mapping[str, Any], caller: Caller) -> NewWatch:
        """What `create_watch` would create, and nothing is."""
        new = self.draft(project, document, caller)
        self._refuse_taken(project, new.watch_id)
        return new

    def create_watch(self, project: str, document: Mapping[str, Any], caller: Caller) -> StoredWatch:
        """Raises as `draft`; 409 for an id that is taken, 429 if the project has as many watches as it may."""
        new = self.draft(project, document, caller)
        try:
            return self._store.create_watch(new)
        except Exists:
            raise _taken() from None

    def delete(self, project: str, watch_id: str) -> None:
        """Raises Missing."""
        self._store.delete_watch(project, watch_id)

    def pause(self, project: str, watch_id: str) -> StoredWatch:
        """Raises Missing."""
        return self._store.tell_watch(project, watch_id, Pause())

    def resume(self, project: str, watch_id: str) -> StoredWatch:
        """Raises Missing."""
        return self._store.tell_watch(project, watch_id, Resume())

    def retry(self, project: str, watch_id: str) -> StoredWatch:
        """Raises Missing; Problem 400 if nothing was set aside."""
        watch = self._store.watch(project, watch_id)
        if not watch.set_aside:
            raise Problem(400, "FAILED_PRECONDITION", "Field: name Error: No epoch of the watch was set aside.")
        return self._store.retry_watch(project, watch_id)

    def _told(self, webhook: str) -> str:
        try:
            return self._webhook(webhook)
        except InvalidJob as error:
            raise invalid([Violation("watch.webhook", one.description) for one in error.violations]) from None

    def _refuse_taken(self, project: str, watch_id: str) -> None:
        try:
            self._store.watch(project, watch_id)
        except Missing:
            return
        raise _taken()


def resource(watch: StoredWatch) -> dict[str, Any]:
    """The Watch resource."""
    leading = watch.leading
    document = {
        "name": f"projects/{watch.project}/watches/{watch.watch_id}",
        "watchId": watch.watch_id,
        **watch.new.document,
        "createTime": to_timestamp(watch.created),
        "state": leading.state.value,
        "epochs": str(watch.epochs),
    }
    optional = {
        "labels": dict(watch.new.labels),
        "webhook": watch.new.webhook,
        "leader": leading.worker,
        "errorMessage": leading.message,
        "setAsideEpochs": str(watch.set_aside) if watch.set_aside else "",
        "notes": [
            {"time": to_timestamp(one.at), "severity": one.severity, "message": one.text} for one in watch.notes
        ],
    }
    return {**document, **{name: value for name, value in optional.items() if value}}


def epoch_resource(project: str, epoch: StoredEpoch, model: str) -> dict[str, Any]:
    """The Epoch message. `model`: as it is to be called."""
    document = {
        "epoch": str(epoch.epoch),
        "state": epoch.state,
        "files": str(epoch.files),
        "bytes": str(epoch.bytes),
        "model": model,
    }
    optional = {
        "job": f"projects/{project}/jobs/{epoch.job_id}" if epoch.job_id else "",
        "failures": str(epoch.failures) if epoch.failures else "",
        "errorMessage": epoch.message,
        "createTime": to_timestamp(epoch.begun) if epoch.begun else "",
        "endTime": to_timestamp(epoch.ended) if epoch.ended else "",
    }
    return {**document, **{name: value for name, value in optional.items() if value}}


def _taken() -> Problem:
    violation = Violation("watch.watch_id", "A watch with this id already exists.")
    return invalid([violation], 409, "ALREADY_EXISTS")


def _kept(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The document that is stored: what was asked for, to the letter, under the names that answers have it by."""
    kept = {camel(name): value for name, value in sent.items() if value is not None}
    return {name: kept[name] for name in _FIELDS if name in kept}


_FIELDS = ("predictionInput", "newestVersion", "every", "settle", "maxFiles", "maxBytes", "changed", "tries")
