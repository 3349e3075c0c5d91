"""A job over what failed is planned, scored and merged where the pipeline runs."""

from __future__ import annotations

import json

import pytest
import support
from engines import ENGINES, flags_of

import batchpredict


@pytest.mark.rare_on_flink
@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_what_failed_is_scored_and_merged(engine, tmp_path):
    name, flags = engine
    rows = [json.dumps({"x": -number if number % 200 >= 100 else number}) for number in range(2000)]
    path = support.write(tmp_path / "in.json", rows)
    refuses = support.model("refuses_negative")
    document = support.job(refuses, path, str(tmp_path / "out"), splitBytes=5000, batchSize=4)
    support.score_in_process(document)
    for merge, counts in ((False, (1000, 0)), (True, (2000, 0))):
        output = str(tmp_path / f"merged {merge}")
        wanted = {"predictionInput": {"outputPath": output, "uri": support.model("double")}}
        came = batchpredict.predict(
            wanted, only_errors_of=str(tmp_path / "out"), merge=merge, runner=name, runner_flags=flags
        )
        assert support.counts(came) == counts
        found = [one["y"] for one in support.results(output)]
        negative = [-2.0 * number for number in range(2000) if number % 200 >= 100]
        assert [value for value in found if value < 0] == negative


@pytest.fixture
def engine(request):
    return flags_of(request)
