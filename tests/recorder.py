"""An Observer for tests."""

from __future__ import annotations

from typing import Any


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.snapshots: list[Any] = []
        self.warnings: list[str] = []
        self.messages: list[str] = []

    def progress(self, snapshot) -> None:
        self.snapshots.append(snapshot)

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def message(self, text: str, task: str = "") -> None:
        self.messages.append(f"{task}: {text}" if task else text)
