"""Who calls, what they may, and which paths they may name."""

from batchpredict.service.access.authorization import ServiceAccess
from batchpredict.service.access.interface import (
    Access,
    Caller,
    Forbidden,
    Hidden,
    IdentityUnavailable,
    Paths,
    Unauthenticated,
)
from batchpredict.service.access.paths import RootedPaths
from batchpredict.service.access.tokens import new_token, sha256_of

__all__ = [
    "Access",
    "Caller",
    "Forbidden",
    "Hidden",
    "IdentityUnavailable",
    "Paths",
    "RootedPaths",
    "ServiceAccess",
    "Unauthenticated",
    "new_token",
    "sha256_of",
]
