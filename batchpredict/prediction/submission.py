"""What a pipeline that runs elsewhere tells whoever submitted it, through the output folder that both can reach.

    OUTPUT/_batchpredict/submissions/NAME.plan.json       which plan it works on, once there is one
    OUTPUT/_batchpredict/submissions/NAME.failure.json    why the job failed, in the words of its first failure

A runner wraps what a step raises in messages and stack traces of its own, and some retry a step that cannot
succeed; the sentence that a user needs goes this way. Whoever reads the failure cancels the pipeline.
"""

from __future__ import annotations

import json
import uuid

from batchpredict import storage
from batchpredict.errors import BatchPredictError, from_document, to_document
from batchpredict.prediction.staging import FOLDER


class Submission:
    """One pipeline's corner of an output folder. Holds no state.

    Args:
      output_path: the job's output folder.
      name: of the submission; no other one may have it.
    """

    def __init__(self, output_path: str, name: str) -> None:
        base = storage.join(output_path, FOLDER, "submissions", name)
        self._plan = f"{base}.plan.json"
        self._failure = f"{base}.failure.json"

    @staticmethod
    def new_name() -> str:
        return uuid.uuid4().hex[:12]

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
        """Remove both documents: nobody waits any more."""
        for url in (self._plan, self._failure):
            storage.delete(url)


def _read(url: str) -> dict[str, object] | None:
    try:
        document: dict[str, object] = json.loads(storage.read_bytes(url))
    except FileNotFoundError:
        return None
    return document
