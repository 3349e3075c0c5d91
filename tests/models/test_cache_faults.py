"""A cache of models that cannot be used is an error of its own, and never one of the model."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any

import pytest

from batchpredict import storage
from batchpredict.errors import JobFailed, ModelUnusable
from batchpredict.models import fetch
from batchpredict.models.fetch import clean_cache, fetch_model


def refusing(number: int) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


class TestACacheThatCannotBeUsed:
    @pytest.mark.parametrize(
        ("module", "name", "number"),
        [
            (fcntl, "flock", errno.EACCES),
            (os, "rename", errno.EROFS),
            (os, "utime", errno.EPERM),
            (storage, "download", errno.ENOSPC),
        ],
    )
    def test_is_named_with_what_to_do(
        self, module: Any, name: str, number: int, bucket: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = str(tmp_path / "cache")
        monkeypatch.setattr(module, name, refusing(number))
        with pytest.raises(JobFailed, match=rf"'{cache}/models' .*{os.strerror(number)}.* BATCHPREDICT_CACHE\.$"):
            fetch_model(bucket, cache)

    def test_is_not_blamed_for_a_store_that_refuses(
        self, bucket: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage, "download", refusing(errno.EACCES))
        with pytest.raises(ModelUnusable, match=f"the model at '{bucket}' cannot be read: .*Permission denied"):
            fetch_model(bucket, str(tmp_path))

    def test_fails_nothing_by_not_being_tidied(
        self, bucket: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetch, "_bytes_below", refusing(errno.EACCES))
        assert os.path.exists(f"{fetch_model(bucket, str(tmp_path))}/saved_model.pb")
        with pytest.raises(JobFailed, match="The cache of models"):
            clean_cache(0, cache=str(tmp_path))
