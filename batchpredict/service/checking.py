"""What `serve --check` looks at besides the settings themselves: the folders and keys that they name."""

from __future__ import annotations

from batchpredict.service.access.paths import RootedPaths
from batchpredict.service.settings import Settings
from batchpredict.service.webhooks.signature import read_keys


def check(settings: Settings) -> None:
    """What a start would find out, without beginning one: it makes nothing and asks nobody.

    Raises:
      WrongCall: a root is no folder, or the file of the webhooks' keys holds something else.
    """
    RootedPaths.of(settings)
    if settings.webhook_secret_file:
        read_keys(settings.webhook_secret_file)
