"""What the console asks of the API's own methods: it does nothing with jobs and watches that they do not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from batchpredict.service.access.interface import Caller
from batchpredict.service.store.watching import StoredWatch


class JobMethods(Protocol):
    """The methods of jobs as the API has them, permissions and checks included.

    Errors are those of the API, with `violations` where they are about fields.
    """

    def check(self, project: str, document: Mapping[str, Any], caller: Caller) -> None:
        """What `create` would refuse, without creating anything."""
        ...

    def create(self, project: str, document: Mapping[str, Any], caller: Caller) -> str:
        """Create a job; its id."""
        ...

    def cancel(self, project: str, job_id: str, caller: Caller) -> None: ...


class WatchMethods(Protocol):
    """The methods of watches as the API has them; whether the caller may is for whoever calls them to ask.

    Every one raises Missing. Errors are those of the API.
    """

    def pause(self, project: str, watch_id: str) -> StoredWatch: ...

    def resume(self, project: str, watch_id: str) -> StoredWatch: ...

    def retry(self, project: str, watch_id: str) -> StoredWatch:
        """Raises the API's error if nothing was set aside."""
        ...

    def delete(self, project: str, watch_id: str) -> None: ...
