"""A place for training jobs."""

from __future__ import annotations

import pytest
from training.training_support import Jobs


@pytest.fixture
def jobs(tmp_path):
    return Jobs(str(tmp_path))
