"""The REST method of projects: who their jobs run as."""

from __future__ import annotations

import hashlib

from batchpredict.service.rest.calls import Answer, Call
from batchpredict.service.rest.guard import Guard


class Projects:
    """getConfig."""

    def __init__(self, guard: Guard, account: str) -> None:
        self._guard = guard
        self._account = account

    def config(self, call: Call) -> Answer:
        """The account is the user that job processes run as, which needs access to files.

        Project numbers are not given out here; clients that keep one are given the same one each time.
        """
        self._guard.project(call)
        digest = hashlib.blake2b(call.project.encode(), digest_size=5).digest()
        number = str(int.from_bytes(digest, "big") + 1)
        return Answer({"serviceAccount": self._account, "serviceAccountProject": number, "config": {}})
