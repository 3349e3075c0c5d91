"""A watch whose epochs are submitted to another runner."""

from __future__ import annotations

import json

import pytest
import support


@pytest.mark.prism
def test_epochs_are_submissions_where_the_runner_is_elsewhere(prism_server, tmp_path):
    arguments = [
        "watch", f"--model-dir={support.model('double')}", f"--input-paths={tmp_path}/in/*", "--data-format=TEXT",
        f"--output-path={tmp_path}/out", "--settle=0s", "--once", "--max-files=2", "--runner=PrismRunner",
        f"--job_endpoint={prism_server.endpoint}",
    ]  # fmt: skip
    for number in range(3):
        support.write(tmp_path / "in" / str(number), f"{number}\nbad\n")
    found = support.run_cli(*arguments, timeout=240)
    assert found.returncode == 0, found.stderr
    first, second = map(json.loads, found.stdout.splitlines())
    assert support.counts(first["predictionOutput"]) == (2, 2)
    assert support.counts(second["predictionOutput"]) == (1, 1)
    assert support.results(str(tmp_path / "out" / "epoch=00000002")) == [{"y": 4.0}]
