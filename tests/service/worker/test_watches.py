"""Watches that a worker leads: files become epochs, epochs become jobs, and each file is in one.

The process of a watch is a real one; the jobs that it asks for are played by the test, but for one that is run.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import support
from service.worker_support import eventually, processes_of, working

from batchpredict import epochs
from batchpredict.job import State
from batchpredict.ledger import named_inputs
from batchpredict.service.queue.leading import Pause, Resume, WatchState
from batchpredict.service.queue.lifecycle import Begin, Cancel, Fail, Stop, Succeed
from batchpredict.service.store import NewJob, NewWatch, Store, StoredEpoch, StoredJob
from batchpredict.service.worker import WorkerOptions
from batchpredict.service.worker.leftovers import WorkerFolder, marked
from batchpredict.service.worker.running import Setting
from batchpredict.service.worker.watches.leader import WatchLeader

OUTPUT = {"predictionCount": "1", "errorCount": "0", "nodeHours": 0.1}


class World:
    """A store with one watch over a folder, and leaders of it."""

    def __init__(self, store: Store, tmp_path: Any) -> None:
        self.store = store
        self.path = str(tmp_path)
        self.state = os.path.join(self.path, "state")
        self.inputs = os.path.join(self.path, "in")
        self.output = os.path.join(self.path, "out")
        os.mkdir(self.inputs)

    def write(self, name: str, text: str = "1\n") -> None:
        support.write(os.path.join(self.inputs, name), text)

    def watch(self, **settings: Any) -> None:
        """Create the watch "W" as a request would, of which "pinned" are those of a check."""
        model = settings.pop("model", {"uri": support.model("double")})
        asked = {
            "dataFormat": "TEXT",
            "inputPaths": [f"{self.inputs}/*.json"],
            "outputPath": self.output,
            "region": "r",
            "maxWorkerCount": "1",
            **model,
        }
        pinned = {"inputPaths": asked["inputPaths"], "outputPath": self.output}
        pinned |= {"uri": model["uri"]} if "uri" in model else {}
        document = {"predictionInput": asked, "every": "1s", "settle": "0s", **settings}
        self.store.create_watch(
            NewWatch("p", "W", document, labels={"team": "blue"}, creator="user:ann@x.org", pinned=pinned)
        )

    @contextlib.contextmanager
    def leading(self, **options: Any) -> Iterator[WatchLeader]:
        """A worker that leads and runs no jobs; nothing of it is left at the end."""
        folder = WorkerFolder(self.state)
        setting = Setting(dict(os.environ), os.path.join(self.state, "history"), "DirectRunner")
        leader = WatchLeader(self.store, WorkerOptions(self.state, **options), folder, setting)
        leader.start()
        try:
            yield leader
        finally:
            leader.stop(20)
            assert marked(f"{folder.worker}/") == []
            folder.close()

    def processes(self) -> list[Any]:
        """Those of watches, guards and all."""
        return [process for name in os.listdir(f"{self.state}/workers") for process in processes_of(f"{name}/")]

    def asked_for_jobs(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The ids of the jobs that leaders have asked the store for, as they do."""
        asked: list[str] = []
        create = self.store.create_job

        def noted(new: NewJob) -> StoredJob:
            asked.append(new.job_id)
            return create(new)

        monkeypatch.setattr(self.store, "create_job", noted)
        return asked

    # What a worker does with the jobs

    def job(self, job_id: str) -> StoredJob:
        """The job, once it is there."""
        found: StoredJob = eventually(lambda: self.find(job_id))
        return found

    def find(self, job_id: str) -> StoredJob | None:
        return next((one for one in self.store.jobs("p")[0] if one.job_id == job_id), None)

    def run(self, job_id: str, end: Callable[[int], Any] = Succeed, output: Any = OUTPUT) -> list[str]:
        """Play the run of a job; the names of the files that it scored."""
        job = self.job(job_id)
        claimed = self.store.claim("p", job_id, "runner", timedelta(minutes=5), 1)
        assert claimed is not None
        generation = claimed.standing.generation
        self.store.tell("p", job_id, Begin(generation))
        self.store.tell("p", job_id, end(generation), output)
        return self.files_of(job)

    def files_of(self, job: StoredJob) -> list[str]:
        pinned = job.new.pinned
        return [os.path.basename(file.url) for file in named_inputs(pinned["outputPath"], pinned["inputList"])]

    # What is told

    def epochs(self) -> dict[int, StoredEpoch]:
        return {one.epoch: one for one in self.store.epochs("p", "W")[0]}

    def state_of(self, epoch: int) -> str:
        found = self.epochs().get(epoch)
        return found.state if found else ""

    def is_done(self, epoch: int) -> bool:
        return self.state_of(epoch) == "SUCCEEDED"

    def notes(self) -> str:
        return "\n".join(note.text for note in self.store.watch("p", "W").notes)


@pytest.fixture
def world(store: Store, tmp_path) -> World:
    return World(store, tmp_path)


def failing(error: str, message: str = "so it is") -> Callable[[int], Fail]:
    return lambda generation: Fail(generation, message, error)


def test_what_arrives_becomes_jobs_one_after_the_other(world: World):
    world.write("a.json")
    world.watch()
    with world.leading():
        job = world.job("W_epoch_00000001")
        assert job.new.creator == "user:ann@x.org"
        assert job.new.labels == {"team": "blue", "watch": "w"}
        asked = job.new.document["predictionInput"]
        assert asked["outputPath"] == f"{world.output}/epoch=00000001"
        assert asked["uri"] == support.model("double")
        world.write("b.json")
        assert world.run("W_epoch_00000001") == ["a.json"]
        assert world.run("W_epoch_00000002") == ["b.json"]
        eventually(lambda: world.state_of(2) == "SUCCEEDED")
        assert [(one.files, one.bytes, one.job_id) for one in world.epochs().values()] == [
            (1, 2, "W_epoch_00000002"), (1, 2, "W_epoch_00000001")
        ]  # fmt: skip
        assert world.store.watch("p", "W").epochs == 2


def test_an_epoch_is_run_by_the_worker_like_any_job(world: World):
    world.write("a.json", "1\n2\nbad\n")
    world.watch()
    with working(world.store, world.state):
        eventually(lambda: world.state_of(1) == "SUCCEEDED", 60)
        done = world.store.job("p", "W_epoch_00000001")
        assert done.standing.state is State.SUCCEEDED
        assert done.output is not None
        assert (done.output["predictionCount"], done.output["errorCount"]) == ("2", "1")
    results = f"{world.output}/epoch=00000001"
    assert support.results(results) == [{"y": 2.0}, {"y": 4.0}]
    assert os.path.exists(f"{results}/_SUCCESS")
    # The next watcher, whoever it is, finds it done.
    with world.leading():
        eventually(lambda: world.processes())
    assert world.store.jobs("p")[0][0].job_id == "W_epoch_00000001"


def test_a_leader_that_is_killed_is_followed_and_its_job_is_waited_for_and_not_created_again(
    world: World, monkeypatch
):
    world.write("a.json")
    world.watch()
    asked = world.asked_for_jobs(monkeypatch)
    with world.leading():
        world.job("W_epoch_00000001")
        eventually(lambda: world.state_of(1) == "RUNNING")
        for process in world.processes():
            process.send_signal(signal.SIGKILL)
        eventually(lambda: world.store.watch("p", "W").leading.generation == 2)
        assert "was lost: " in world.store.watch("p", "W").leading.message
        # What was under way goes on under its name, once the sign of life of the one that was killed is old.
        eventually(lambda: len(asked) == 2, 60)
        assert world.run("W_epoch_00000001") == ["a.json"]
        eventually(lambda: world.state_of(1) == "SUCCEEDED", 60)
    assert [one.job_id for one in world.store.jobs("p")[0]] == ["W_epoch_00000001"]


def test_a_worker_that_ends_gives_its_watches_back(world: World, monkeypatch):
    world.write("a.json")
    world.watch()
    asked = world.asked_for_jobs(monkeypatch)
    with world.leading():
        world.job("W_epoch_00000001")
    leading = world.store.watch("p", "W").leading
    assert (leading.worker, leading.generation, leading.message) == ("", 1, "")
    with world.leading():
        eventually(lambda: len(asked) == 2)
        world.run("W_epoch_00000001")
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
    assert world.store.watch("p", "W").leading.generation == 2


def test_a_failure_is_tried_again_under_the_next_name_and_then_set_aside_and_taken_up(world: World):
    world.write("a.json")
    world.watch(tries="1")
    with world.leading():
        world.run("W_epoch_00000001", failing("BudgetSpent", "Too many errors."))
        eventually(lambda: world.state_of(1) == "SET_ASIDE")
        epoch = world.epochs()[1]
        assert (epoch.failures, epoch.message) == (1, "Too many errors.")
        assert world.store.watch("p", "W").set_aside == 1
        # The log hears of it after the table.
        eventually(lambda: "epoch 1 is set aside after 1 try (Too many errors.)" in world.notes())
        world.store.retry_watch("p", "W")
        assert world.run("W_epoch_00000001_2") == ["a.json"]
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
        assert world.store.watch("p", "W").set_aside == 0


def test_a_job_that_somebody_cancels_sets_its_epoch_aside(world: World):
    world.write("a.json")
    world.watch()
    with world.leading():
        world.job("W_epoch_00000001")
        claimed = world.store.claim("p", "W_epoch_00000001", "runner", timedelta(minutes=5), 1)
        assert claimed is not None
        world.store.tell("p", "W_epoch_00000001", Begin(1))
        world.store.cancel("p", "W_epoch_00000001", Cancel("The job was cancelled by ann."))
        world.store.tell("p", "W_epoch_00000001", Stop(1))
        eventually(lambda: world.state_of(1) == "SET_ASIDE")
        assert world.epochs()[1].message == "The job was cancelled by ann."
        # Its successors go on.
        world.write("b.json")
        assert world.run("W_epoch_00000002") == ["b.json"]


def test_a_watch_that_is_created_again_knows_at_once_what_was_set_aside_and_takes_it_up(world: World):
    world.write("a.json")
    world.watch(tries=1)
    with world.leading():
        world.run("W_epoch_00000001", failing("BudgetSpent"))
        eventually(lambda: world.state_of(1) == "SET_ASIDE")
        world.store.delete_watch("p", "W")
        # As whoever gives it another model does.
        world.watch(tries=1)
        eventually(lambda: world.store.watch("p", "W").set_aside == 1)
        assert (world.store.watch("p", "W").epochs, world.state_of(1)) == (1, "SET_ASIDE")
        world.store.retry_watch("p", "W")
        assert world.run("W_epoch_00000001_2") == ["a.json"]
        eventually(lambda: world.is_done(1))


def test_a_paused_watch_begins_nothing_and_goes_on_when_it_is_resumed(world: World):
    world.watch()
    with world.leading():
        eventually(lambda: "no file yet matches" in world.notes())
        world.store.tell_watch("p", "W", Pause())
        eventually(lambda: not world.store.watch("p", "W").leading.worker)
        assert not world.processes()
        world.write("a.json")
        world.store.tell_watch("p", "W", Resume())
        assert world.run("W_epoch_00000001") == ["a.json"]


def test_a_deleted_watch_leaves_its_job_and_no_process_and_one_of_its_name_goes_on(world: World):
    world.write("a.json")
    world.watch()
    with world.leading():
        world.job("W_epoch_00000001")
        world.store.delete_watch("p", "W")
        eventually(lambda: not world.processes())
        world.run("W_epoch_00000001")
        world.write("b.json")
        world.watch()
        # The job of the epoch that was begun is done under another name: its end was seen by nobody.
        names = eventually(lambda: [one.job_id for one in world.store.jobs("p")[0]][:-1], 60)
        assert names == ["W_epoch_00000001_2"]
        assert world.run("W_epoch_00000001_2") == ["a.json"]
        assert world.run("W_epoch_00000002") == ["b.json"]


def test_a_changed_file_that_must_not_change_pauses_the_watch(world: World):
    world.write("a.json")
    world.watch(changed="FAIL")
    with world.leading():
        world.run("W_epoch_00000001")
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
        world.write("a.json", "1\n2\n")
        paused = eventually(
            lambda: (one := world.store.watch("p", "W")).leading.state is WatchState.PAUSED and one.leading
        )
        assert "a.json' has changed since it was scored, and is not to be scored again" in paused.message
        eventually(lambda: not world.processes())


def test_another_format_than_that_of_the_epochs_that_are_there_pauses_the_watch(world: World):
    world.write("a.json")
    world.watch()
    with world.leading():
        world.run("W_epoch_00000001")
        eventually(lambda: world.is_done(1))
        world.store.delete_watch("p", "W")
        world.watch(model={"uri": support.model("double"), "dataFormat": "TF_RECORD"})
        paused = eventually(
            lambda: (one := world.store.watch("p", "W")).leading.state is WatchState.PAUSED and one.leading
        )
        assert "TF_RECORD, but the epochs in this output folder have TEXT" in paused.message


@pytest.mark.long
def test_the_name_of_a_model_means_its_default_version_when_an_epoch_begins(world: World, tmp_path):
    from service.store_support import new_model, new_version

    store = world.store
    store.create_model(new_model("m"))
    world.write("a.json")
    world.watch(model={"modelName": "projects/p/models/m"})
    with world.leading():
        # There is no version yet, which a person hears of and which passes.
        eventually(lambda: "has no version yet" in world.notes())
        for name in ("v1", "v2"):
            store.create_version(new_version("m", name))
            store.patch_version("p", "m", name, {"state": "READY", "uri": f"/copies/{name}"}, None)
        job = eventually(lambda: world.find("W_epoch_00000001"))
        assert job.new.document["predictionInput"]["versionName"] == "projects/p/models/m/versions/v1"
        assert job.new.pinned["uri"] == "/copies/v1"
        assert job.new.pinned["version"] == "projects/p/models/m/versions/v1"
        world.run("W_epoch_00000001")
        store.patch_model("p", "m", {"default": "v2"}, None)
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
        world.write("b.json")
        assert world.job("W_epoch_00000002").new.pinned["uri"] == "/copies/v2"


@pytest.mark.long
def test_of_two_workers_each_watch_has_one_leader(world: World):
    world.watch()
    with world.leading(), world.leading():
        eventually(lambda: world.processes())
        for number in range(3):
            world.write(f"{number}.json")
            world.run(f"W_epoch_{number + 1:08d}")
            done = number + 1
            eventually(functools.partial(world.is_done, done))
        # A guard and a process.
        assert len(world.processes()) == 2


def test_a_name_that_somebody_else_has_taken_is_left_to_them(world: World):
    world.write("a.json")
    world.store.create_job(NewJob("p", "W_epoch_00000001", {"predictionInput": {"inputPaths": ["x"]}}))
    world.watch()
    with world.leading():
        assert world.run("W_epoch_00000001_2") == ["a.json"]
        eventually(lambda: world.state_of(1) == "SUCCEEDED")


@pytest.mark.long
def test_a_watch_on_the_command_line_and_one_in_the_service_share_an_output(world: World):
    world.write("a.json")
    world.watch()
    with world.leading():
        world.run("W_epoch_00000001")
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
    log = epochs.Folder(world.output)
    assert log.results(1) == f"{world.output}/epoch=00000001"
    world.write("b.json")
    found = support.run_cli(
        "watch", f"--model-dir={support.model('double')}", f"--input-paths={world.inputs}/*.json",
        "--data-format=TEXT", f"--output-path={world.output}", "--settle=0s", "--once",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert '"epoch": 2, "files": 1' in found.stdout
    world.write("c.json")
    with world.leading():
        assert world.run("W_epoch_00000003") == ["c.json"]


def test_a_place_that_has_become_a_link_out_of_the_roots_pauses_the_watch(world: World):
    world.watch()
    os.rmdir(world.inputs)
    os.mkdir(f"{world.path}/root")
    os.mkdir(world.output)
    os.mkdir(f"{world.path}/elsewhere")
    os.symlink(f"{world.path}/elsewhere", world.inputs)
    with world.leading(roots=[f"{world.path}/root", f"{world.path}/out"]):
        paused = eventually(
            lambda: (one := world.store.watch("p", "W")).leading.state is WatchState.PAUSED and one.leading
        )
        assert "prediction_input.input_paths[0]" in paused.message


@pytest.mark.long
def test_a_store_that_is_away_for_a_while_is_waited_for(world: World, monkeypatch):
    from batchpredict.service.store import StoreFailed

    world.write("a.json")
    world.watch()
    failing_calls = iter(range(3))
    report = world.store.report_epochs

    def away(*arguments: Any, **named: Any) -> None:
        if next(failing_calls, None) is not None:
            raise StoreFailed("The database is away.")
        report(*arguments, **named)

    monkeypatch.setattr(world.store, "report_epochs", away)
    with world.leading():
        world.run("W_epoch_00000001")
        eventually(lambda: world.state_of(1) == "SUCCEEDED")
