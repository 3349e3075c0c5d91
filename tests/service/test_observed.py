"""Figures of jobs for metrics: what a job says of itself can be anything."""

from __future__ import annotations

from typing import Any

import pytest

from batchpredict.service.observed import figures
from batchpredict.service.worker.listening import error_of


@pytest.mark.parametrize("said", ["x", None, [1], {"a": 1}, float("inf"), -5, ""])
def test_what_is_no_count_counts_nothing(said: Any) -> None:
    assert figures({"predictionCount": said, "errorCount": "2"}, {"splits": said}) == (2, 0)


@pytest.mark.parametrize("error", [{}, {"violations": [1]}, {"type": 3}, {"type": "InvalidJob", "violations": 1}])
def test_what_is_no_error_is_a_failure_all_the_same(error: dict[str, Any]) -> None:
    assert error_of(error)
