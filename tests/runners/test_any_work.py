"""A runner carries any work: one that none has been told of is submitted, seen, cancelled, fails, and is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import support
from engines import ENGINES, flags_of
from recorder import Recorder
from summing import SummingWork

from batchpredict import storage
from batchpredict.errors import JobFailed
from batchpredict.runners import Runner, choose, run

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(params=ENGINES)
def engine(request) -> tuple[str, list[str]]:
    """Name and flags of a runner that can take works."""
    return flags_of(request)


@pytest.fixture
def runner(engine) -> Runner:
    return choose(*engine)


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "sum")


def added(folder: str) -> int:
    return len(storage.list_names(storage.join(folder, "numbers")))


def test_it_is_done_and_seen(runner, folder):
    observer = Recorder()
    assert run(runner, SummingWork(folder, 40, 0.1), observer).total == 820
    seen = [snapshot.numbers for snapshot in observer.snapshots]
    assert seen == sorted(seen)
    assert any(0 < numbers < 40 for numbers in seen)
    assert storage.list_names(storage.join(folder, "channels")) == [], "a channel is left behind"
    # It is done already, and says so again.
    assert run(runner, SummingWork(folder, 40, 0.1)).total == 820


@pytest.mark.rare_on_flink
def test_it_fails_with_the_one_sentence_of_its_step(runner, folder):
    began = time.monotonic()
    with pytest.raises(JobFailed) as failure:
        run(runner, SummingWork(folder, 8, refused=5))
    assert str(failure.value) == "The number 5 is refused."
    assert time.monotonic() - began < 60
    # What was added is kept, and a work that allows the number goes on from there.
    assert run(runner, SummingWork(folder, 8)).total == 36


class Stops(Recorder):
    """Stops the work once, as a Ctrl-C does, when some of it is done."""

    stopped = False

    def progress(self, snapshot) -> None:
        super().progress(snapshot)
        if not self.stopped and snapshot.numbers and len(self.snapshots) > 1:
            self.stopped = True
            raise KeyboardInterrupt


@pytest.mark.rare_on_flink
def test_it_is_cancelled_and_goes_on_later(runner, folder):
    observer = Stops()
    with pytest.raises(KeyboardInterrupt):
        run(runner, SummingWork(folder, 60, 0.4), observer)
    kept = added(folder)
    assert 0 < kept < 60
    if runner.name != "DirectRunner":
        assert any("is cancelled" in said for said in observer.messages)
    time.sleep(2)
    assert added(folder) == kept, "something goes on after the cancel"
    assert run(runner, SummingWork(folder, 60)).total == 1830


def test_its_driver_is_killed(engine, folder):
    name, flags = engine
    command = [sys.executable, "-c", "import summing; summing.main()", folder, "30", "0.4", name, *flags]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((support.ROOT, HERE))}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    support.wait_until(lambda: added(folder) > 2 or process.poll() is not None, 120, "some numbers")
    if process.poll() is not None:
        raise AssertionError(process.communicate()[1].decode())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = added(folder)
    assert 0 < kept < 30
    assert run(choose(name, flags), SummingWork(folder, 30, 0.1)).total == 465
