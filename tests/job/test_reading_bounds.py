"""A document that is wrong in thousands of places is refused as fast as it was read."""

from __future__ import annotations

import pytest

from batchpredict.errors import InvalidJob
from batchpredict.job import Job


def test_only_the_first_unknown_names_are_compared_with_those_that_there_are():
    document = {f"jobId{number:02d}": 1 for number in range(100)}
    with pytest.raises(InvalidJob) as error:
        Job.submitted(document)
    unknown = [text for text in map(str, error.value.violations) if "Cannot find field" in text]
    assert len(unknown) == 100
    suggested = ["Did you mean" in text for text in unknown]
    assert suggested[:10] == [True] * 10
    assert suggested[20:] == [False] * 80
