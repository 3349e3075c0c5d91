from __future__ import annotations

import os
from pathlib import Path

import pytest
from training.replica import packages_support as made

from batchpredict.errors import WrongCall
from batchpredict.training import pack

PACKAGE = {"trainer/__init__.py": "", "trainer/task.py": "print('trained')\n"}
BUILDER = (
    '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    '[project]\nname = "of-mine"\nversion = "0.1"\n[tool.setuptools]\npackages = ["trainer"]\n'
)


@pytest.fixture
def package(tmp_path: Path) -> str:
    made.write(str(tmp_path / "project"), PACKAGE)
    return str(tmp_path / "project" / "trainer")


def test_a_project_that_is_built_again_is_the_same_package(package: str, tmp_path: Path) -> None:
    made.write(os.path.dirname(package), {"pyproject.toml": BUILDER})
    first = pack(package, str(tmp_path / "job"))
    os.utime(os.path.join(package, "task.py"), (0, 0))
    assert pack(package, str(tmp_path / "job")) == first


def test_a_package_that_has_changed_is_another_one(package: str, tmp_path: Path) -> None:
    first = pack(package, str(tmp_path / "job"))
    made.write(package, {"task.py": "print('changed')\n"})
    assert pack(package, str(tmp_path / "job")) != first


def test_a_place_that_takes_no_package_is_named_with_its_flag(package: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongCall, match=r"^--job-dir: the package cannot be put into '.*file'"):
        pack(package, str(tmp_path / "file"))
    with pytest.raises(WrongCall, match=r"^--staging-bucket: "):
        pack(package, str(tmp_path / "file"), flag="--staging-bucket")
