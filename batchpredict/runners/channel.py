"""What a pipeline and whoever submitted it tell each other, wherever the pipeline runs.

    BASE.begun.json      a worker has begun
    BASE.failure.json    why the work failed, in the words of its first failure
    BASE.stop.json       nobody wants the work any more
    BASE.NAME.json       what else a kind of work has to say, under names of its own

A runner wraps what a step raises in messages and stack traces of its own, and some retry a step that cannot
succeed; the sentence that a user needs goes this way, on every runner. Whoever reads the failure stops the
pipeline.

The other way goes the wish to stop: Beam's job server for Flink forgets a job that it is told to cancel, but the
cluster goes on with it. Steps that find the wish do nothing, so the pipeline comes to its end by itself, also where
its runner restarts whatever fails.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from batchpredict import storage
from batchpredict.errors import BatchPredictError, from_document, to_document

_BEGUN, _FAILURE, _STOP = "begun", "failure", "stop"

# Where the channels are whose two ends are in one process.
_HERE = "memory://batchpredict-channels"


class Channel:
    """The documents of one submission. Holds no state: whoever knows the URL has the channel.

    Every document is written once, by create-if-absent: of two that say the same thing differently, the first
    stands. What a store fails to do for a moment is done again, for seconds. Then every method may raise OSError,
    as a channel is no better than the folder that it is in.

    Args:
      url: what the URLs of its documents begin with.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def new(cls, folder: str) -> Channel:
        """A channel that nobody has yet, in a folder that both of its ends reach."""
        return cls(storage.join(folder, uuid.uuid4().hex[:12]))

    @classmethod
    def in_memory(cls) -> Channel:
        """A channel within this process."""
        return cls.new(_HERE)

    @property
    def name(self) -> str:
        """Its name in its folder: 12 hexadecimal digits, fit for the name of a job elsewhere."""
        return storage.name_of(self.url)

    def begin(self) -> None:
        """Say that a worker has begun."""
        self.tell(_BEGUN, {})

    def begun(self) -> bool:
        """Whether a worker has begun."""
        return storage.again(lambda: storage.exists(self._document(_BEGUN)))

    def stop(self) -> None:
        """Ask the pipeline to come to its end without doing anything more."""
        self.tell(_STOP, {})

    def stopped(self) -> bool:
        """Whether the pipeline is to come to its end. Asked often, so it is not asked again where that fails."""
        return storage.exists(self._document(_STOP))

    def fail(self, error: BatchPredictError) -> None:
        """Say why the work failed; the first reason stands."""
        self.tell(_FAILURE, to_document(error))

    def failure(self) -> BatchPredictError | None:
        """Why the work failed; None if it has not, as far as is known."""
        document = self.told(_FAILURE)
        return None if document is None else from_document(document)

    def tell(self, name: str, document: Mapping[str, Any]) -> None:
        """Say something, unless it has been said."""
        # Said twice it is said once, so it does no harm to repeat what may have been done.
        storage.again(lambda: storage.create_if_absent(self._document(name), json.dumps(document).encode()))

    def told(self, name: str) -> dict[str, Any] | None:
        """What was said under a name; None if nothing was."""
        try:
            document: dict[str, Any] = json.loads(storage.again(lambda: storage.read_bytes(self._document(name))))
        except FileNotFoundError:
            return None
        return document

    def forget(self) -> None:
        """Remove all documents, whichever end wrote them: the pipeline has ended, and nobody waits."""
        folder = storage.parent(self.url)
        for name in storage.list_names(folder):
            if name.startswith(f"{self.name}."):
                storage.delete(storage.join(folder, name))

    def _document(self, name: str) -> str:
        return f"{self.url}.{name}.json"
