"""The calls of the client that several tests make."""

from __future__ import annotations

import support


def prediction(job_id: str, output: str, *more: str) -> list[str]:
    return [
        "jobs", "submit", "prediction", job_id, f"--model-dir={support.model('double')}", "--input-paths=in.json",
        "--data-format=text", f"--output-path={output}", *more,
    ]  # fmt: skip
