"""A model that a worker process loads is the one that its job was planned with."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import support

from batchpredict import models
from batchpredict.errors import ModelUnusable
from batchpredict.workers.protocol import Setup
from batchpredict.workers.worker import load


@pytest.mark.parametrize("when", ["before it is fetched", "after it was fetched", "after it was loaded"])
def test_a_model_that_is_replaced_meanwhile_is_not_used(
    when: str, tmp_path: Any, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "model")
    shutil.copytree(support.model("double"), uri)
    spec = support.spec_of(support.job(uri, support.write(tmp_path / "in.json", ["1"]), memory))
    setup = Setup(spec.to_json(), "f00d", 1, models.model_digest(uri))

    def replace() -> None:
        shutil.rmtree(uri)
        shutil.copytree(support.model("refuses_negative"), uri)

    def fetched(uri: str) -> str:
        path = models.fetch.fetch_model(uri)
        if when == "after it was fetched":
            replace()
        return path

    def loaded(*given: Any, **named: Any) -> models.SavedModel:
        model = models.saved_model.SavedModel(*given, **named)
        if when == "after it was loaded":
            replace()
        return model

    monkeypatch.setattr(models, "fetch_model", fetched)
    monkeypatch.setattr(models, "SavedModel", loaded)
    if when == "before it is fetched":
        replace()
    with pytest.raises(ModelUnusable) as caught:
        load(setup)
    assert str(caught.value) == f"uri: the model at '{uri}' has changed since the job was planned."
