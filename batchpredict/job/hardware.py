"""What a machine of a job has."""

from __future__ import annotations

from batchpredict.job.wire import Count64, Wire


class AcceleratorConfig(Wire):
    """Accelerators of one machine. Types, like machine types, are for the runner to judge."""

    count: Count64 | None = None
    type: str | None = None
