"""Models, versions and operations: what they mean, between the REST methods and the store."""

from batchpredict.service.registry.errors import ResourceExists, ResourceInUse, ResourceMissing
from batchpredict.service.registry.pinning import Pinned, resolve
from batchpredict.service.registry.registry import Registry

__all__ = [
    "Pinned",
    "Registry",
    "ResourceExists",
    "ResourceInUse",
    "ResourceMissing",
    "resolve",
]
