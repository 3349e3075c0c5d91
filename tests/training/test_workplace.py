"""What the processes of a machine share that host replicas of one job: packages, installed once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import support
from training.replica import packages_support as made
from training.training_support import alive, eventually

from batchpredict.errors import JobCancelled, JobFailed
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.logs import LogTail
from batchpredict.training.shared import shared_folder
from batchpredict.training.workplace import Workplace

# A process that hosts: installs the packages that are named, says so, and goes on until its stdin ends.
HOST = """
import sys
from batchpredict.training.folder import TrainingFolder
from batchpredict.training.workplace import Workplace
with Workplace.of(TrainingFolder(sys.argv[1]), shared=True) as workplace:
    print(workplace.installed(sys.argv[2:]).path, flush=True)
    sys.stdin.read()
"""
TASK = {"trainer/__init__.py": "", "trainer/task.py": ""}


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> str:
    """The temporary folder of this machine, and of the processes that are started."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return str(path)


@pytest.fixture
def folder(tmp_path) -> TrainingFolder:
    return TrainingFolder(str(tmp_path / "out" / "_batchpredict" / "training" / "f"))


@contextlib.contextmanager
def host(folder: TrainingFolder, *packages: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOST, folder.url, *packages]
    env = {**os.environ, "PYTHONPATH": support.ROOT}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0


def jobs_of(temporary: str) -> list[str]:
    """The folders of jobs on this machine."""
    (base,) = (name for name in os.listdir(temporary) if name.startswith("batchpredict-jobs-"))
    return os.listdir(os.path.join(temporary, base))


def log_of(folder: TrainingFolder) -> list[str]:
    return [line.text for line in LogTail(folder.logs).poll()]


def test_processes_of_one_machine_install_once(folder, temporary, tmp_path):
    path = made.source(str(tmp_path), {**TASK, "setup.py": made.SETUP.format(more="")})
    with host(folder, path) as one, host(folder, path) as other:
        places = {said(one), said(other)}
        assert len(places) == 1
        (place,) = places
        assert os.path.exists(os.path.join(place, "trainer", "task.py"))
        let_go(one)
        assert os.path.exists(place), "the other one is there still"
        let_go(other)
    assert not os.path.exists(place)
    assert jobs_of(temporary) == []
    assert log_of(folder) == ["Installing the package trainer-0.1.tar.gz."]


def test_an_installer_that_is_killed_does_not_block_the_next_one(folder, temporary, tmp_path):
    mark = tmp_path / "begun"
    setup = f"""
import os, time
if not os.path.exists({str(mark)!r}):
    open({str(mark)!r}, "w").write(str(os.getpid()))
    time.sleep(1000)
"""
    path = made.source(str(tmp_path), {**TASK, "setup.py": setup + made.SETUP.format(more="")})
    with host(folder, path) as first:
        eventually(lambda: mark.exists() and mark.read_text(), 20)
        with host(folder, path) as second:
            time.sleep(0.3)
            first.send_signal(signal.SIGKILL)
            place = said(second)
            assert os.path.exists(os.path.join(place, "trainer", "task.py"))
            assert [name for name in os.listdir(os.path.dirname(place)) if name.startswith("installing-")] == []
            let_go(second)
    eventually(lambda: not alive(int(mark.read_text())), 10)
    assert jobs_of(temporary) == []


def test_what_a_killed_host_has_left_goes_with_the_next_job(folder, temporary, tmp_path):
    path = made.wheel(str(tmp_path), "trainer")
    with host(folder, path) as killed:
        assert said(killed)
        killed.kill()
        killed.wait()
    assert len(jobs_of(temporary)) == 1
    with shared_folder("another-job"):
        assert jobs_of(temporary) == ["another-job"]
    assert jobs_of(temporary) == []


def test_many_come_and_go_and_nobody_loses_what_he_uses(temporary):
    lost: list[str] = []

    def come_and_go() -> None:
        for _ in range(50):
            with shared_folder("job") as path:
                mark = os.path.join(path, threading.current_thread().name)
                open(mark, "w").close()
                if not os.path.exists(mark):
                    lost.append(mark)
                os.unlink(mark)

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    with shared_folder("job") as path:
        assert os.listdir(path) == ["in-use"]
    assert jobs_of(temporary) == []


def test_who_comes_while_the_last_one_clears_up_finds_nothing_that_is_being_removed(temporary, monkeypatch):
    removing = shutil.rmtree
    found: list[list[str]] = []

    def remove(path: str, ignore_errors: bool) -> None:
        monkeypatch.setattr("shutil.rmtree", removing)
        os.unlink(os.path.join(path, "in-use"))
        with shared_folder("job") as other:
            found.append(os.listdir(other))
        removing(path, ignore_errors=ignore_errors)

    with shared_folder("job") as path:
        os.mkdir(os.path.join(path, "site"))
        monkeypatch.setattr("shutil.rmtree", remove)
    assert found == [["in-use"]]
    assert jobs_of(temporary) == []


def test_a_folder_that_goes_while_it_is_made_is_made_again(temporary, monkeypatch):
    making = os.makedirs

    def make(path: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        making(path, mode=mode, exist_ok=exist_ok)
        if path.endswith("/job"):
            # As `os.makedirs` does where a folder was there and is gone when it looks what it was.
            monkeypatch.setattr("os.makedirs", making)
            os.rmdir(path)
            raise FileExistsError(17, "File exists", path)

    monkeypatch.setattr("os.makedirs", make)
    with shared_folder("job") as path:
        assert os.listdir(path) == ["in-use"]


def test_a_file_in_the_place_of_the_folder_is_refused(temporary):
    with shared_folder("job") as path:
        base = os.path.dirname(path)
    open(os.path.join(base, "job"), "w").close()
    with pytest.raises(FileExistsError), shared_folder("job"):
        pass


def test_a_workplace_that_is_left_ends_its_installer(folder, temporary, tmp_path):
    path = made.source(str(tmp_path), {**TASK, "setup.py": "import time; time.sleep(1000)\n"})
    came: list[BaseException] = []

    def install() -> None:
        try:
            workplace.installed([path])
        except BaseException as error:
            came.append(error)

    with Workplace.of(folder, shared=True) as workplace:
        thread = threading.Thread(target=install)
        thread.start()
        time.sleep(0.5)
    thread.join(20)
    assert isinstance(came[0], JobCancelled)
    assert jobs_of(temporary) == []


def test_a_temporary_folder_of_somebody_else_is_refused(folder, temporary):
    os.mkdir(os.path.join(temporary, f"batchpredict-jobs-{os.geteuid()}"))
    os.chmod(os.path.join(temporary, f"batchpredict-jobs-{os.geteuid()}"), 0o777)
    with (
        pytest.raises(JobFailed, match=r"^The temporary folder of this machine cannot be used: The folder"),
        Workplace.of(folder, shared=True),
    ):
        pass
