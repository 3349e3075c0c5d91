"""Which function carries out which command. It is imported when it is called, with all that it needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

COMMANDS = {
    "predict": "predict.predict",
    "plan": "plan.plan",
    "watch": "watch.watch",
    "train": "train.train",
    "inspect": "inspect.inspect",
    "clean": "clean.clean",
    "serve": "serve.serve",
    "jobs submit prediction": "remote.submit.submit",
    "jobs submit training": "remote.submit.submit_training",
    "jobs list": "remote.jobs.list_jobs",
    "jobs describe": "remote.jobs.describe",
    "jobs cancel": "remote.jobs.cancel",
    "jobs update": "remote.jobs.update",
    "jobs wait": "remote.watch.wait",
    "jobs stream-logs": "remote.logs.stream",
    "watches create": "remote.watches.create",
    "watches list": "remote.watches.list_watches",
    "watches describe": "remote.watches.describe",
    "watches epochs": "remote.watches.epochs",
    "watches pause": "remote.watches.pause",
    "watches resume": "remote.watches.resume",
    "watches retry": "remote.watches.retry",
    "watches delete": "remote.watches.delete",
    "models create": "remote.models.create",
    "models list": "remote.models.list_models",
    "models describe": "remote.models.describe",
    "models delete": "remote.models.delete",
    "models update": "remote.models.update",
    "versions create": "remote.versions.create",
    "versions list": "remote.versions.list_versions",
    "versions describe": "remote.versions.describe",
    "versions delete": "remote.versions.delete",
    "versions set-default": "remote.versions.set_default",
    "versions update": "remote.versions.update",
    "operations list": "remote.operations.list_operations",
    "operations describe": "remote.operations.describe",
    "operations wait": "remote.operations.wait",
    "operations cancel": "remote.operations.cancel",
    **{
        f"{kind} {verb}": f"remote.policies.{function}"
        for kind in ("jobs", "models", "projects")
        for verb, function in (
            ("get-iam-policy", "get"),
            ("set-iam-policy", "put"),
            ("add-iam-policy-binding", "add_binding"),
            ("remove-iam-policy-binding", "remove_binding"),
        )
    },
}
"""By the words of the command: the module and the function, within this package."""


def function_of(command: str) -> Callable[[argparse.Namespace], int]:
    """What carries a command out: takes its options and gives the exit status."""
    module, _, name = COMMANDS[command].rpartition(".")
    found = getattr(import_module(f"batchpredict.cli.{module}"), name)
    return cast(Callable[[argparse.Namespace], int], found)
