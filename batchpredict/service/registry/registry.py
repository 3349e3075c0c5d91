"""Models, versions and operations for the REST methods; `rest.interface.Registry` is what each method promises."""

from __future__ import annotations

import functools
import logging
import os
import socket
import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta

from batchpredict.service.access.interface import Paths
from batchpredict.service.registry.collection import Collection
from batchpredict.service.registry.copies import Copies
from batchpredict.service.registry.creation import Inspect, VersionCreation
from batchpredict.service.registry.errors import no_operation
from batchpredict.service.registry.inspection import inspect
from batchpredict.service.registry.lookups import Document
from batchpredict.service.registry.model_methods import ModelMethods
from batchpredict.service.registry.operations import OperationThreads
from batchpredict.service.registry.version_methods import VersionMethods
from batchpredict.service.store.interface import Missing, Store, StoreFailed

_log = logging.getLogger(__name__)

_COLLECTION_SECONDS = 60.0


class Registry(ModelMethods, VersionMethods):
    """Models, their versions, and the operations that make and unmake them. Used from many threads.

    Operations that take their time are performed by threads of this process, or of another one at the same store.

    Args:
      store: that they are in.
      paths: where the files of models may be read from.
      data: the service's own folder, a path or a URL.
      user: whom the inspection of a model, and jobs, run as; "" for the user of this process.
      memory: bytes of address space of an inspection; None for no bound.
      inspecting: finds the signatures of a model; by default a process of its own does.
      lease: how long an operation stays with a process that is not heard of.
      worker: an id of this process; made up if it is "".
    """

    def __init__(
        self,
        store: Store,
        paths: Paths,
        data: str,
        *,
        user: str = "",
        memory: int | None = None,
        inspecting: Inspect | None = None,
        lease: timedelta = timedelta(seconds=30),
        worker: str = "",
    ) -> None:
        self._store = store
        self._paths = paths
        copies = Copies(data, readable=bool(user))
        if inspecting is None:
            # An API that was not started by root cannot become another user; the worker can, or says so.
            inspecting = functools.partial(inspect, user=user if os.geteuid() == 0 else "", memory=memory)
        self._threads = OperationThreads(
            store,
            VersionCreation(store, paths, copies, inspecting),
            worker or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            lease=lease,
        )
        self._collection = Collection(store, copies)
        self._stopping = threading.Event()
        self._collecting = threading.Thread(target=self._collect, name="collection", daemon=True)

    def start(self) -> None:
        """Perform operations from now on, also those that were begun before, and collect copies."""
        self._threads.start()
        self._collecting.start()

    def close(self) -> None:
        """Stop; what is under way is taken up by whoever starts next."""
        self._stopping.set()
        self._threads.close()
        if self._collecting.ident is not None:
            self._collecting.join()

    def operation(self, project: str, operation: str) -> Document:
        """Raises ResourceMissing."""
        try:
            return dict(self._store.operation(project, operation).document)
        except Missing:
            raise no_operation(operation) from None

    def operations(
        self, project: str, *, size: int = 20, after: int | None = None
    ) -> tuple[Sequence[Document], int | None]:
        found, following = self._store.operations(project, size=size, after=after)
        return [dict(one.document) for one in found], following

    def cancel_operation(self, project: str, operation: str) -> None:
        """Raises ResourceMissing."""
        try:
            self._store.patch_operation(project, operation, {"isCancellationRequested": True})
        except Missing:
            raise no_operation(operation) from None

    def _begun(self) -> None:
        self._threads.wake()

    def _collect(self) -> None:
        while not self._stopping.wait(_COLLECTION_SECONDS):
            try:
                self._collection.collect()
            except StoreFailed as error:
                _log.warning("copies of versions cannot be collected: %s", error)
            except Exception:
                _log.exception("copies of versions cannot be collected")
