"""Copies of models: whole and verified, of files below the roots only, and none that is forgotten."""

from __future__ import annotations

import os
import shutil

import pytest
import support

from batchpredict import storage
from batchpredict.errors import InvalidJob
from batchpredict.service.access import RootedPaths
from batchpredict.service.registry import copies as copies_module
from batchpredict.service.registry.copies import Copies, CopyDamaged, Owner, copy_model

FIELD = "version.deployment_uri"
OWNER = Owner("shop", "census", "v1", "create_census_v1-1")


def go_on() -> None:
    pass


@pytest.fixture
def root(tmp_path) -> str:
    os.makedirs(tmp_path / "root")
    return str(tmp_path / "root")


@pytest.fixture
def paths(root) -> RootedPaths:
    return RootedPaths([root])


@pytest.fixture
def model(root) -> str:
    return shutil.copytree(support.model("double"), os.path.join(root, "model"))


@pytest.fixture(params=["local", "memory"])
def copies(request, tmp_path, memory) -> Copies:
    """Of a data folder on this machine, and of one in a store."""
    return Copies(str(tmp_path / "data") if request.param == "local" else f"{memory}/data")


def contents(folder: str) -> dict[str, bytes]:
    return {name: storage.read_bytes(storage.join(folder, name)) for name in storage.tree(folder)}


class TestCopy:
    def test_it_has_every_file_and_knows_how_many(self, copies, model, paths):
        folder = copies.begin(OWNER)
        copied = copy_model(model, folder, paths, FIELD, go_on)
        assert contents(folder) == contents(model)
        assert (copied.files, copied.bytes) == (len(contents(model)), sum(map(len, contents(model).values())))

    def test_its_digest_is_of_names_and_contents(self, tmp_path, copies, model, paths):
        first = copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)
        assert copy_model(model, copies.begin(OWNER), paths, FIELD, go_on) == first
        support.write(os.path.join(model, "assets", "x"), b"")
        assert copy_model(model, copies.begin(OWNER), paths, FIELD, go_on).sha256 != first.sha256

    def test_a_model_without_variables_has_their_folder(self, tmp_path, model, paths):
        shutil.rmtree(os.path.join(model, "variables"))
        folder = Copies(str(tmp_path / "data")).begin(OWNER)
        copy_model(model, folder, paths, FIELD, go_on)
        assert os.path.isdir(os.path.join(folder, "variables"))

    def test_one_that_jobs_of_another_user_need_is_readable_whatever_the_umask(self, tmp_path, model, paths):
        copies = Copies(str(tmp_path / "data"), readable=True)
        before = os.umask(0o077)
        try:
            folder = copies.begin(OWNER)
            copy_model(model, folder, paths, FIELD, go_on, readable=True)
        finally:
            os.umask(before)
        modes = {
            name: os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in ("saved_model.pb", "variables")
        }
        assert modes == {"saved_model.pb": 0o644, "variables": 0o755}
        assert os.stat(os.path.dirname(folder)).st_mode & 0o777 == 0o711

    def test_what_is_damaged_on_its_way_is_found(self, copies, model, paths, monkeypatch):
        def damage(folder: str, names: list[str], readable: bool) -> None:
            support.write(storage.join(folder, names[-1]), b"other bytes")

        monkeypatch.setattr(copies_module, "_make_durable", damage)
        with pytest.raises(CopyDamaged):
            copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)

    def test_a_model_that_was_written_meanwhile_is_copied_again(self, copies, model, paths):
        changes = iter(range(1))

        def write() -> None:
            for _ in changes:
                support.write(os.path.join(model, "late.txt"), b"late")

        folder = copies.begin(OWNER)
        copy_model(model, folder, paths, FIELD, write)
        assert contents(folder) == contents(model)
        assert "late.txt" in contents(folder)

    def test_a_model_that_is_always_written_is_refused(self, copies, model, paths):
        count = iter(range(10**6))

        def write() -> None:
            support.write(os.path.join(model, f"{next(count)}.txt"), b"x")

        with pytest.raises(InvalidJob, match="changes while it is copied"):
            copy_model(model, copies.begin(OWNER), paths, FIELD, write)

    def test_whoever_is_to_stop_stops_it(self, copies, model, paths):
        class Ended(Exception):
            pass

        def stop() -> None:
            raise Ended

        with pytest.raises(Ended):
            copy_model(model, copies.begin(OWNER), paths, FIELD, stop)


class TestPlaces:
    def test_a_link_out_of_the_roots_is_refused(self, tmp_path, copies, model, paths):
        support.write(tmp_path / "secret", b"secret")
        os.symlink(tmp_path / "secret", os.path.join(model, "link"))
        with pytest.raises(InvalidJob, match=r"'link' in .* is a link that leads out"):
            copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)

    def test_a_link_that_is_put_in_a_files_place_after_the_look_is_refused(
        self, tmp_path, copies, model, paths, monkeypatch
    ):
        support.write(tmp_path / "secret", b"secret")
        victim = os.path.join(model, "saved_model.pb")
        open_read = storage.open_read

        def swapped(url: str):
            if url == victim:
                os.unlink(victim)
                os.symlink(tmp_path / "secret", victim)
            return open_read(url)

        monkeypatch.setattr(storage, "open_read", swapped)
        folder = copies.begin(OWNER)
        with pytest.raises(InvalidJob, match="leads out"):
            copy_model(model, folder, paths, FIELD, go_on)
        assert b"secret" not in contents(folder).values()

    def test_a_link_to_a_folder_is_refused_wherever_it_leads(self, copies, root, model, paths):
        shutil.move(os.path.join(model, "variables"), os.path.join(root, "elsewhere"))
        os.symlink(os.path.join(root, "elsewhere"), os.path.join(model, "variables"))
        with pytest.raises(InvalidJob, match=r"'variables' in .* is a link to a folder"):
            copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)

    def test_a_link_to_itself_and_a_pipe_are_refused_and_nothing_waits_for_them(self, copies, model, paths):
        os.mkfifo(os.path.join(model, "pipe"))
        with pytest.raises(InvalidJob, match="pipe"):
            copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)
        os.unlink(os.path.join(model, "pipe"))
        os.symlink("loop", os.path.join(model, "loop"))
        with pytest.raises(InvalidJob, match="loop"):
            copy_model(model, copies.begin(OWNER), paths, FIELD, go_on)

    def test_a_folder_that_cannot_be_listed_is_said(self, copies, root, paths):
        with pytest.raises(InvalidJob, match="is a file; give the folder"):
            copy_model(support.write(os.path.join(root, "file"), b""), copies.begin(OWNER), paths, FIELD, go_on)


class TestIndex:
    def test_a_copy_is_known_before_its_first_file(self, copies):
        folder = copies.begin(OWNER)
        assert list(copies.all()) == [(folder, OWNER)]
        assert contents(folder) == {}

    def test_no_two_copies_share_a_folder(self, copies):
        assert len({copies.begin(OWNER) for _ in range(100)}) == 100

    def test_one_that_is_deleted_is_gone_from_both(self, copies, model, paths):
        folder = copies.begin(OWNER)
        copy_model(model, folder, paths, FIELD, go_on)
        copies.delete(folder)
        copies.delete(folder)
        assert list(copies.all()) == []
        assert contents(folder) == {}

    def test_one_whose_deletion_was_interrupted_is_still_known(self, copies, model, paths, monkeypatch):
        folder = copies.begin(OWNER)
        copy_model(model, folder, paths, FIELD, go_on)

        def interrupted(*arguments: object, **options: object) -> None:
            raise OSError("the power went")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "delete", interrupted)
            patch.setattr(os, "rmdir", interrupted)
            with pytest.raises(OSError, match="the power went"):
                copies.delete(folder)
        assert list(copies.all()) == [(folder, OWNER)]
        copies.delete(folder)
        assert list(copies.all()) == []
        assert [name for name in storage.tree(storage.parent(folder)) if name] == []

    def test_what_is_no_entry_is_left_out(self, tmp_path):
        copies = Copies(str(tmp_path))
        folder = copies.begin(OWNER)
        for name, data in {"a.json": b"{", "b.json": b"[]", "c.json": b'{"x": 1}', "d.txt": b""}.items():
            support.write(tmp_path / "models" / "index" / name, data)
        assert list(copies.all()) == [(folder, OWNER)]
