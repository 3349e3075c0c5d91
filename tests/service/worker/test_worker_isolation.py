"""What the processes of a job get to see, and what is left of them."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile

import pytest
from service.worker_support import environment_with, eventually, processes_of

from batchpredict.errors import WrongCall
from batchpredict.service.settings import Settings
from batchpredict.service.worker import WorkerOptions
from batchpredict.service.worker.isolation import MARK, RunFolder, User, environment, remove_tree
from batchpredict.service.worker.leftovers import WorkerFolder

SECRETS = {
    "BATCHPREDICT_DATABASE": "postgresql://service:secret@db/jobs",
    "BATCHPREDICT_TOKENS": "x",
    "BATCHPREDICT_WEBHOOK_SECRET_FILE": "/etc/key",
    "DATABASE_URL": "postgresql://service:secret@db/jobs",
    "PGPASSWORD": "secret",
    "SOME_NEW_TOKEN": "secret",
    "SSH_AUTH_SOCK": "/tmp/agent",
}
NEEDED = {
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "CUDA_VISIBLE_DEVICES": "1",
    "AWS_ACCESS_KEY_ID": "id",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/google.json",
    "https_proxy": "http://proxy:3128",
    "BATCHPREDICT_CACHE": "/var/cache/models",
}


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(str(tmp_path / "run"))


def test_a_job_gets_what_it_needs_and_no_secret_of_the_service(folder):
    variables = environment({**SECRETS, **NEEDED}, "w/1", folder)
    assert {name: variables[name] for name in NEEDED} == NEEDED
    assert SECRETS.keys().isdisjoint(variables)
    assert not [value for value in variables.values() if "secret" in value]
    assert (variables[MARK], variables["TMPDIR"]) == ("w/1", folder.temporary)


def test_locks_of_the_machine_stay_where_all_jobs_see_them(folder):
    assert environment({}, "w/1", folder)["BATCHPREDICT_LOCKS"] == tempfile.gettempdir()


def test_another_user_has_a_home_and_a_cache_of_its_own(folder):
    user = User("ann", 1234, 1234, (1234,), "/home/ann")
    variables = environment({**NEEDED, "HOME": "/root"}, "w/1", folder, user)
    assert (variables["HOME"], variables["USER"]) == ("/home/ann", "ann")
    assert "BATCHPREDICT_CACHE" not in variables


def test_nobody_else_reads_the_folder_of_a_run(folder):
    folder.make(None)
    assert [os.stat(path).st_mode & 0o777 for path in (folder.path, folder.temporary, folder.work)] == [0o700] * 3


def test_a_folder_goes_whatever_a_job_has_done_to_it(tmp_path):
    inner = tmp_path / "run" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    os.symlink(outside, tmp_path / "run" / "link")
    inner.chmod(0)
    inner.parent.chmod(0)
    remove_tree(str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    assert (outside / "kept").exists()


class TestUsers:
    def test_none_is_the_services_own(self):
        assert User.named("") is None

    def test_one_that_is_not_there_is_named(self):
        with pytest.raises(WrongCall, match="user: there is no user 'no_such_user'"):
            User.named("no_such_user")

    @pytest.mark.skipif(os.geteuid() != 0, reason="asks for root")
    def test_root_is_none_for_jobs(self):
        with pytest.raises(WrongCall, match="must not run as root"):
            User.named("root")

    @pytest.mark.skipif(os.geteuid() != 0, reason="asks for root")
    def test_the_others_are_known_with_their_groups(self):
        found = User.named("nobody")
        assert found is not None
        assert found.uid == pwd.getpwnam("nobody").pw_uid
        assert found.gid in found.groups


class TestDeadWorkers:
    def test_a_worker_that_lives_is_left_alone(self, tmp_path):
        first, second = WorkerFolder(str(tmp_path)), WorkerFolder(str(tmp_path))
        assert second.bury_dead() == []
        first.close()
        second.close()
        assert os.listdir(tmp_path / "workers") == []

    def test_what_a_dead_one_left_is_killed_and_removed(self, tmp_path):
        dead = WorkerFolder(str(tmp_path))
        mark, run = dead.new_run()
        run.make(None)
        process = subprocess.Popen(["sleep", "600"], env=environment_with(mark), start_new_session=True)
        other = subprocess.Popen(["sleep", "600"], env=environment_with("other/1"))
        try:
            # A program that has just been started has no environment yet, for a moment.
            eventually(lambda: processes_of(mark))
            # As the kernel does when a process dies.
            os.close(dead._lock)
            living = WorkerFolder(str(tmp_path))
            assert living.bury_dead() == [dead.worker]
            assert process.wait(10) == -9
            assert other.poll() is None
            assert processes_of(mark) == []
            assert os.listdir(tmp_path / "workers") == [living.worker]
            living.close()
        finally:
            for one in (process, other):
                one.kill()
                one.wait()


class TestOptions:
    def test_the_folder_is_below_the_data_folder(self, tmp_path):
        options = WorkerOptions.of(Settings(data=str(tmp_path / "data"), workers=3))
        assert options.state == str(tmp_path / "data" / "worker")
        assert (options.jobs, options.workers) == (3, 3)

    @pytest.mark.parametrize(
        "settings",
        [Settings(database="postgresql://db/jobs", data="gs://bucket/data"), Settings(data="x", user="nobody")],
    )
    def test_or_a_local_one_where_that_is_elsewhere_or_not_for_its_user(self, settings, tmp_path, monkeypatch):
        if settings.user and os.geteuid():
            pytest.skip("asks for root")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        options = WorkerOptions.of(settings)
        assert options.state == str(tmp_path / f"batchpredict-worker-{os.geteuid()}")
        assert os.stat(options.state).st_mode & 0o777 == 0o711

    def test_but_not_one_that_others_may_write_to(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        folder = tmp_path / f"batchpredict-worker-{os.geteuid()}"
        folder.mkdir()
        folder.chmod(0o777)
        with pytest.raises(WrongCall, match="others may write to it"):
            WorkerOptions.of(Settings(database="postgresql://db/jobs", data="gs://bucket/data"))
