"""Packages of a program: real wheels and source packages, real installers, no network."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from training.replica import packages_support as made

from batchpredict import storage
from batchpredict.errors import InstallFailed, JobCancelled
from batchpredict.training.replica import Installed, install

TASK = {"trainer/__init__.py": "", "trainer/task.py": "print('trained')\n"}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No installer asks an index; what pip may find is in `index`."""
    index = os.path.join(str(tmp_path), "index")
    os.mkdir(index)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", index)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def folder(tmp_path: object) -> str:
    return str(tmp_path)


def installed(folder: str, *packages: str) -> tuple[Installed, list[str]]:
    log: list[str] = []
    return install(packages, os.path.join(folder, "job"), log.append), log


def says(found: Installed, expression: str) -> str:
    """What the program would see."""
    command = [found.python, "-c", f"import {expression.partition('.')[0]}; print({expression})"]
    env = {**os.environ, "PYTHONPATH": found.path}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def test_a_wheel_is_installed_without_an_installer(folder: str) -> None:
    began = time.process_time()
    found, log = installed(folder, made.wheel(folder, "trainer", "2.5"))
    assert time.process_time() - began < 0.5
    assert says(found, "trainer.VERSION") == "2.5"
    assert log == ["Installing the package trainer-2.5-py3-none-any.whl."]
    assert found.python == sys.executable


def test_a_package_comes_before_the_one_of_this_environment(folder: str) -> None:
    found, _ = installed(folder, made.wheel(folder, "fsspec", "0.0"))
    assert says(found, "fsspec.VERSION") == "0.0"


def test_nothing_is_written_outside_of_the_folder(folder: str) -> None:
    path = made.wheel(folder, "trainer", files={"../outside.py": "", "/absolute.py": ""})
    found, _ = installed(folder, path)
    assert sorted(os.listdir(found.path)) == ["absolute.py", "outside.py", "trainer", "trainer-1.0.dist-info"]
    assert sorted(os.listdir(folder)) == ["index", "job", os.path.basename(path)]


def test_a_remote_package_is_fetched(folder: str) -> None:
    with open(made.wheel(folder, "trainer"), "rb") as file:
        storage.replace_bytes("memory://packages/trainer-1.0-py3-none-any.whl", file.read())
    found, _ = installed(folder, "memory://packages/trainer-1.0-py3-none-any.whl")
    assert says(found, "trainer.VERSION") == "1.0"


def test_a_source_package_is_built_by_the_setuptools_that_are_here(folder: str) -> None:
    path = made.source(folder, {**TASK, "setup.py": made.SETUP.format(more="")})
    found, log = installed(folder, path)
    assert says(found, "trainer.__name__") == "trainer"
    assert log == ["Installing the package trainer-0.1.tar.gz."]
    assert os.listdir(os.path.join(folder, "job")).count("packages.lock") == 1


def test_a_wheel_that_takes_an_installer_gets_one(folder: str) -> None:
    path = made.wheel(folder, "trainer", files={"trainer-1.0.data/purelib/extra_module.py": "X = 1\n"})
    found, _ = installed(folder, path)
    assert says(found, "extra_module.X") == "1"


def test_what_is_here_already_is_not_installed_again(folder: str) -> None:
    path = made.wheel(folder, "trainer", needs=("numpy>=1.20", "tensorflow-gpu>=2", 'nosuch; python_version < "3"'))
    _, log = installed(folder, path)
    assert len(log) == 1


def test_a_package_of_the_job_is_what_another_needs(folder: str) -> None:
    first = made.wheel(folder, "trainer", needs=("shared_things>=2",))
    found, log = installed(folder, first, made.wheel(folder, "shared_things", "2.0"))
    assert says(found, "shared_things.VERSION") == "2.0"
    assert len(log) == 2


def test_what_is_missing_is_installed_and_what_that_needs(folder: str) -> None:
    index = os.environ["PIP_FIND_LINKS"]
    made.wheel(index, "middle_thing", "1.0", needs=("deep_thing>1", "numpy"))
    for version in ("1.0", "2.0", "3.0"):
        made.wheel(index, "deep_thing", version)
    path = made.wheel(folder, "trainer", needs=("middle_thing", "deep_thing<3"))
    found, log = installed(folder, path)
    assert says(found, "deep_thing.VERSION") == "2.0"
    assert says(found, "middle_thing.VERSION") == "1.0"
    assert not os.path.exists(os.path.join(found.path, "numpy"))
    assert log[1] == "Installing what the packages need: deep_thing<3, middle_thing."


def test_extras_are_needed_too(folder: str) -> None:
    index = os.environ["PIP_FIND_LINKS"]
    made.wheel(index, "with_extra", needs=('only_extra; extra == "more"',))
    made.wheel(index, "only_extra")
    found, _ = installed(folder, made.wheel(folder, "trainer", needs=("with_extra[more]",)))
    assert says(found, "only_extra.VERSION") == "1.0"


def test_the_same_packages_are_installed_once(folder: str) -> None:
    path = made.wheel(folder, "trainer")
    first, _ = installed(folder, path)
    again, log = installed(folder, path)
    assert again == first
    assert log == []
    other, _ = installed(folder, made.wheel(folder, "other"))
    assert other.path != first.path


def test_replicas_that_begin_together_install_once(folder: str) -> None:
    path = made.source(folder, {**TASK, "setup.py": made.SETUP.format(more="")})
    found: list[tuple[Installed, list[str]]] = []
    threads = [threading.Thread(target=lambda: found.append(installed(folder, path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.path for one, _ in found}) == 1
    assert sorted(len(log) for _, log in found) == [0, 0, 0, 0, 0, 1]


def test_what_a_killed_host_left_is_done_again(folder: str) -> None:
    path = made.wheel(folder, "trainer")
    os.makedirs(os.path.join(folder, "job", "installing-x", "site", "trainer"))
    found, _ = installed(folder, path)
    assert says(found, "trainer.VERSION") == "1.0"


def test_a_hundred_packages_are_the_most(folder: str) -> None:
    with pytest.raises(InstallFailed, match=r"^At most 100 packages are allowed, got 101\.$"):
        install(["p.whl"] * 101, folder, print)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gone-1.0-py3-none-any.whl", "there is no such file."),
        ("trainer.egg", "it is neither a wheel (.whl) nor a source package (.tar.gz, .zip)."),
        ("broken-1.0-py3-none-any.whl", "Wheel 'broken' located at"),
        ("nonsense.whl", "nonsense.whl is not a valid wheel filename."),
        ("broken-1.0.tar.gz", ""),
    ],
)
def test_a_file_that_is_no_package_is_named(folder: str, name: str, text: str) -> None:
    path = os.path.join(folder, name)
    if "gone" not in name:
        with open(path, "wb") as file:
            file.write(b"nothing of the kind")
    with pytest.raises(InstallFailed) as failed:
        installed(folder, path)
    assert str(failed.value).startswith(f"The package {path} cannot be installed: {text}")
    assert "\n" not in str(failed.value)


def test_a_protocol_that_nobody_speaks_is_named(folder: str) -> None:
    with pytest.raises(InstallFailed, match=r"^The package gopher://h/p\.whl cannot be fetched: "):
        installed(folder, "gopher://h/p.whl")


def test_a_wheel_for_another_machine_is_refused_in_one_sentence(folder: str) -> None:
    path = made.wheel(folder, "trainer", tag="cp27-cp27m-win32")
    with pytest.raises(InstallFailed, match="is not a supported wheel on this platform"):
        installed(folder, path)


def test_a_wheel_for_another_python_is_refused_in_one_sentence(folder: str) -> None:
    path = made.wheel(folder, "trainer", python="<3")
    with pytest.raises(InstallFailed, match="requires a different Python"):
        installed(folder, path)


def test_a_setup_that_fails_is_quoted_by_its_last_line(folder: str) -> None:
    path = made.source(folder, {**TASK, "setup.py": "raise ValueError('no way to build')\n"})
    log: list[str] = []
    with pytest.raises(InstallFailed) as failed:
        install([path], os.path.join(folder, "job"), log.append)
    assert str(failed.value) == f"The package {path} cannot be installed: ValueError: no way to build."
    assert any("Traceback" in line for line in log)
    assert os.listdir(os.path.join(folder, "job")) == ["packages.lock"]


def test_what_cannot_be_found_is_named_with_who_needs_it(folder: str) -> None:
    path = made.wheel(folder, "trainer", needs=("no-such-thing>=3",))
    with pytest.raises(InstallFailed) as failed:
        installed(folder, path)
    assert str(failed.value) == (
        "trainer needs no-such-thing>=3, which cannot be installed: "
        "No matching distribution found for no-such-thing>=3."
    )


def test_a_folder_that_cannot_be_written_is_named(folder: str) -> None:
    path = made.wheel(folder, "trainer")
    with pytest.raises(InstallFailed, match=r"^The packages cannot be installed in .*/trainer-1\.0.*\.whl/job: "):
        install([path], os.path.join(path, "job"), print)


def test_an_install_that_is_not_wanted_any_more_ends(folder: str) -> None:
    path = made.source(folder, {**TASK, "setup.py": "import time; time.sleep(1000)\n"})
    began = time.monotonic()
    with pytest.raises(JobCancelled):
        install([path], os.path.join(folder, "job"), print, wanted=lambda: time.monotonic() < began + 1)
    assert time.monotonic() - began < 20
