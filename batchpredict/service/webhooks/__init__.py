"""Telling others of each change of a job's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from batchpredict._lazy import lazily
from batchpredict.errors import InvalidJob, Violation
from batchpredict.service.settings import Settings
from batchpredict.service.webhooks.addresses import url_fault
from batchpredict.service.webhooks.signature import BadSignature, verify

if TYPE_CHECKING:
    from batchpredict.service.webhooks.sender import Sender

__all__ = ["BadSignature", "Sender", "verify", "webhook_check"]


def webhook_check(settings: Settings) -> Callable[[str], str]:
    """Checks the webhook that a job names: gives its URL, or raises InvalidJob for the field "job.webhook"."""

    def check(url: str) -> str:
        fault = url_fault(url, settings.webhook_hosts)
        if fault:
            raise InvalidJob([Violation("job.webhook", fault)])
        return url

    return check


if not TYPE_CHECKING:
    # It takes the store with it, which whoever checks settings does not need.
    __getattr__ = lazily(__name__, {"Sender": "sender"})
