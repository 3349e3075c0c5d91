"""The jobs service: `projects.jobs` over HTTP, a queue, workers, models, access control and a console.

What a command needs of it, imported when it is asked for: the rest is the service's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.service.access.tokens import new_token, sha256_of
    from batchpredict.service.checking import check
    from batchpredict.service.members import member_fault
    from batchpredict.service.serving import run
    from batchpredict.service.settings import read
    from batchpredict.service.store.opening import migrate

__all__ = ["check", "member_fault", "migrate", "new_token", "read", "run", "sha256_of"]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "check": "checking",
            "member_fault": "members",
            "migrate": "store.opening",
            "new_token": "access.tokens",
            "read": "settings",
            "run": "serving",
            "sha256_of": "access.tokens",
        },
    )
