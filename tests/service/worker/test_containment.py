"""A job whose places have come to lead elsewhere since it was created is refused when it begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchpredict.errors import JobFailed
from batchpredict.service.worker.containment import refuse_strays

INPUTS = "prediction_input.input_paths"
OUTPUT = "prediction_input.output_path"
MODEL = "prediction_input.uri"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("root/in", "root/model", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "root/in/a.json").write_text("1\n")
    (tmp_path / "elsewhere/secret.json").write_text("2\n")
    return tmp_path / "root"


def look(root: Path, places: list[tuple[str, str]], **pinned: str) -> None:
    refuse_strays(places, pinned, [str(root)], [])


@pytest.mark.parametrize("pattern", ["in/*.json", "in", "in/a.json", "nothing/*"])
def test_what_is_below_a_root_may_be_read_and_what_is_not_there_is_for_the_job(root: Path, pattern: str) -> None:
    look(root, [(MODEL, str(root / "model")), (INPUTS, str(root / pattern)), (OUTPUT, str(root / "out"))])


@pytest.mark.parametrize("pattern", ["in/*.json", "in", "in/**", "in/b.json"])
def test_a_file_that_became_a_link_is_refused(root: Path, pattern: str) -> None:
    os.symlink(root.parent / "elsewhere" / "secret.json", root / "in" / "b.json")
    with pytest.raises(JobFailed, match=INPUTS):
        look(root, [(INPUTS, str(root / pattern))])


@pytest.mark.parametrize("field", [MODEL, INPUTS, OUTPUT])
def test_a_folder_that_became_a_link_is_refused(root: Path, field: str) -> None:
    os.symlink(root.parent / "elsewhere", root / "link")
    with pytest.raises(JobFailed, match=field):
        look(root, [(field, str(root / "link"))])


def test_the_copy_of_a_version_is_the_service_s_own(root: Path) -> None:
    copy = str(root.parent / "elsewhere")
    look(root, [(MODEL, copy)], uri=copy, version="projects/p/models/m/versions/v")
    with pytest.raises(JobFailed, match=MODEL):
        look(root, [(MODEL, copy)], uri=copy)
