"""What a pipeline that runs elsewhere and whoever submitted it tell each other, through the output folder.

    OUTPUT/_batchpredict/submissions/NAME.begun.json      a worker has begun
    OUTPUT/_batchpredict/submissions/NAME.plan.json       which plan it works on, once there is one
    OUTPUT/_batchpredict/submissions/NAME.failure.json    why the job failed, in the words of its first failure
    OUTPUT/_batchpredict/submissions/NAME.stop.json       nobody wants the job any more

A runner wraps what a step raises in messages and stack traces of its own, and some retry a step that cannot
succeed; the sentence that a user needs goes this way. Whoever reads the failure stops the pipeline.

The other way goes the wish to stop: Beam's job server for Flink forgets a job that it is told to cancel, but the
cluster goes on with it. Steps that find the wish do nothing, so the pipeline comes to its end by itself, also where
its runner restarts whatever fails.
"""

from __future__ import annotations

import json
import uuid

from batchpredict import storage
from batchpredict.errors import BatchPredictError, from_document, to_document
from batchpredict.ledger.staging import FOLDER


class Submission:
    """One pipeline's corner of an output folder. Holds no state.

    Args:
      output_path: the job's output folder.
      name: of the submission; no other one may have it.
    """

    def __init__(self, output_path: str, name: str) -> None:
        base = storage.join(output_path, FOLDER, "submissions", name)
        self._begun = f"{base}.begun.json"
        self._plan = f"{base}.plan.json"
        self._stop = f"{base}.stop.json"
        self._failure = f"{base}.failure.json"

    @staticmethod
    def new_name() -> str:
        return uuid.uuid4().hex[:12]

    def begin(self) -> None:
        """Say that a worker has begun."""
        storage.create_if_absent(self._begun, b"{}")

    def begun(self) -> bool:
        """Whether a worker has begun."""
        return storage.exists(self._begun)

    def stop(self) -> None:
        """Ask the pipeline to come to its end without doing anything more."""
        storage.create_if_absent(self._stop, b"{}")

    def stopped(self) -> bool:
        """Whether the pipeline is to come to its end."""
        return storage.exists(self._stop)

    def planned(self, fingerprint: str) -> None:
        """Say which plan the pipeline works on."""
        storage.create_if_absent(self._plan, json.dumps({"fingerprint": fingerprint}).encode())

    def fingerprint(self) -> str | None:
        """The plan that the pipeline works on; None if it has not said so yet."""
        document = _read(self._plan)
        return None if document is None else str(document["fingerprint"])

    def fail(self, error: BatchPredictError) -> None:
        """Say why the job failed; the first reason stands."""
        storage.create_if_absent(self._failure, json.dumps(to_document(error)).encode())

    def failure(self) -> BatchPredictError | None:
        """Why the job failed; None if it has not, as far as is known."""
        document = _read(self._failure)
        return None if document is None else from_document(document)

    def forget(self) -> None:
        """Remove all documents: the pipeline has ended, and nobody waits."""
        for url in (self._begun, self._plan, self._failure, self._stop):
            storage.delete(url)


def _read(url: str) -> dict[str, object] | None:
    try:
        document: dict[str, object] = json.loads(storage.read_bytes(url))
    except FileNotFoundError:
        return None
    return document
