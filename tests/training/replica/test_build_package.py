from __future__ import annotations

import os
import subprocess
import sys
import tarfile

import pytest
from training.replica import packages_support as made

from batchpredict.errors import InstallFailed, WrongFlag
from batchpredict.training.replica import build_package, install

PACKAGE = {
    "trainer/__init__.py": "",
    "trainer/task.py": "print('trained')\n",
    "trainer/deep/__init__.py": "",
    "trainer/deep/model.py": "",
    "trainer/data/words.txt": "a b\n",
    "trainer/__pycache__/task.cpython-311.pyc": "",
    "beside.txt": "",
}


@pytest.fixture
def project(tmp_path: object) -> str:
    root = os.path.join(str(tmp_path), "project")
    made.write(root, PACKAGE)
    return root


@pytest.fixture
def out(tmp_path: object) -> str:
    return os.path.join(str(tmp_path), "out")


def files(root: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names
    )


MODULES = [
    "trainer/__init__.py",
    "trainer/data/words.txt",
    "trainer/deep/__init__.py",
    "trainer/deep/model.py",
    "trainer/task.py",
]


def test_a_package_without_a_setup_is_packed_with_one(project: str, out: str) -> None:
    before = files(project)
    path = build_package(os.path.join(project, "trainer"), out)
    assert path == os.path.join(out, "trainer-0.0.0.tar.gz")
    assert files(project) == before
    with tarfile.open(path) as tar:
        assert sorted(tar.getnames()) == sorted(
            f"trainer-0.0.0/{name}" for name in ["PKG-INFO", "setup.py", *MODULES]
        )


def test_the_same_package_gives_the_same_bytes(project: str, out: str) -> None:
    first = build_package(os.path.join(project, "trainer"), out)
    with open(first, "rb") as file:
        data = file.read()
    os.utime(os.path.join(project, "trainer", "task.py"), (0, 0))
    second = build_package(os.path.join(project, "trainer") + "/", out + "2")
    with open(second, "rb") as file:
        assert file.read() == data


def test_what_is_installed_of_it_is_what_setuptools_makes_of_it(project: str, out: str) -> None:
    path = build_package(os.path.join(project, "trainer"), out)
    found = install([path], os.path.join(out, "job"), print)
    assert files(found.path) == MODULES
    other = os.path.join(out, "pip")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--no-compile", "--target", other, path], check=True, capture_output=True)
    assert [name for name in files(other) if "dist-info" not in name] == MODULES


def test_a_setup_of_ones_own_is_what_counts(project: str, out: str) -> None:
    made.write(project, {"setup.py": made.SETUP.format(more=""), "other/__init__.py": ""})
    before = files(project)
    path = build_package(os.path.join(project, "trainer"), out)
    assert os.path.basename(path) == "trainer-0.1.tar.gz"
    assert files(project) == before
    found = install([path], os.path.join(out, "job"), print)
    modules = [name for name in files(found.path) if name.endswith(".py")]
    assert modules == ["other/__init__.py", *(name for name in MODULES if name.endswith(".py"))]


def test_a_pyproject_is_a_setup_too(project: str, out: str) -> None:
    text = (
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "trainer"\nversion = "7"\n[tool.setuptools]\npackages = ["trainer"]\n'
    )
    made.write(project, {"pyproject.toml": text})
    before = files(project)
    assert os.path.basename(build_package(os.path.join(project, "trainer"), out)) == "trainer-7.tar.gz"
    assert files(project) == before


def test_a_pyproject_that_builds_nothing_is_none(project: str, out: str) -> None:
    made.write(project, {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"})
    path = build_package(os.path.join(project, "trainer"), out)
    assert os.path.basename(path) == "trainer-0.0.0.tar.gz"


def test_a_setup_that_fails_is_quoted(project: str, out: str) -> None:
    made.write(project, {"setup.py": "import nosuchmodule\n"})
    with pytest.raises(
        InstallFailed, match=r"cannot be built: ModuleNotFoundError: No module named 'nosuchmodule'\.$"
    ):
        build_package(os.path.join(project, "trainer"), out)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing", "is not a folder."),
        ("beside.txt", "is not a folder."),
        ("trainer/data", "is not a Python package: it has no __init__.py."),
        ("my-trainer", "my-trainer cannot be the name of a Python package."),
    ],
)
def test_what_is_no_package_is_refused_by_the_flag(project: str, out: str, name: str, text: str) -> None:
    made.write(project, {"my-trainer/__init__.py": ""})
    with pytest.raises(WrongFlag) as refused:
        build_package(os.path.join(project, name), out)
    assert str(refused.value).startswith("--package-path: ")
    assert str(refused.value).endswith(text)
