"""Names of this machine's files that mean something to a shell, and links that lead nowhere."""

from __future__ import annotations

import os

import pytest
import support

from batchpredict import storage


def found(*patterns: str) -> list[str]:
    return [file.url for file in storage.match(patterns)]


def test_a_folder_that_is_there_by_the_very_name_wins_also_at_the_end_of_a_pattern(tmp_path):
    inside = support.write(tmp_path / "run*" / "f", b"1")
    support.write(tmp_path / "run1" / "f", b"2")
    assert found(str(tmp_path / "run*")) == [inside]


def test_a_file_of_that_name_is_among_what_its_name_matches(tmp_path):
    files = [support.write(tmp_path / name, b"1") for name in ("b*c", "bXc")]
    assert found(str(tmp_path / "b*c")) == sorted(files)


def test_a_name_that_begins_with_a_tilde_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.replace_bytes("~x/y", b"1")
    assert storage.create_if_absent("~x/z", b"2")
    assert sorted(os.listdir(tmp_path / "~x")) == ["y", "z"]
    assert storage.read_bytes("~x/y") == b"1"
    assert found("~x") == [str(tmp_path / "~x" / name) for name in ("y", "z")]


def test_a_link_that_leads_to_itself_is_no_matter_of_others(tmp_path):
    good = support.write(tmp_path / "good1", b"1")
    os.symlink("zz", tmp_path / "zz")
    assert found(str(tmp_path / "good*")) == [good]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.replace_bytes(str(tmp_path / "x"), b"1")
    assert os.listdir(tmp_path) == []


def test_links_in_a_circle_are_followed_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.json").write_text("1\n")
    os.symlink("..", tmp_path / "a" / "up")
    os.symlink("../b", tmp_path / "a" / "other")
    os.symlink("../a", tmp_path / "b" / "other")
    found = [os.path.relpath(one.url, tmp_path) for one in storage.match([f"{tmp_path}/**"])]
    assert found == ["a/other/rows.json", "a/rows.json", "b/other/rows.json", "b/rows.json"]
