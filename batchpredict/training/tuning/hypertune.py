"""The file by which `cloudml-hypertune` reports the objective (cmle-behaviour.md §5).

One JSON object a line, `{"timestamp": 1.5, "trial": "1", "<tag>": "0.9", "global_step": "100", …}`; the file holds
the last 100 reports and is written anew, in place, at each: a reader may find it empty, or its last line cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from batchpredict.training.tuning.event_messages import Scalar

_NO_TAGS = frozenset(("timestamp", "trial", "global_step", "checkpoint_path"))


def reports(content: bytes, trial: str) -> Iterator[Scalar]:
    """What the file says of a trial. Lines that are no report, or one of another trial, are passed over."""
    for line in content.splitlines():
        try:
            report = json.loads(line)
            if not isinstance(report, dict) or str(report.get("trial")) != trial:
                continue
            step, seconds = int(report.get("global_step", 0)), float(report.get("timestamp", 0))
            values = {tag: float(value) for tag, value in report.items() if tag not in _NO_TAGS}
        except (ValueError, TypeError):
            continue
        for tag, value in values.items():
            yield Scalar(tag, step, value, seconds)
