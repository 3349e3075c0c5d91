"""Which paths may be named: those below a root, and no spelling leads out of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchpredict import storage
from batchpredict.errors import InvalidJob, NoMatch, WrongCall
from batchpredict.service.access import RootedPaths
from batchpredict.service.settings import Settings


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with data and links, the service's data folder inside it, and a secret beside it."""
    root = Path(os.path.realpath(tmp_path)) / "root"
    (root / "in").mkdir(parents=True)
    (root / "in/a.json").write_text("1")
    (root / "batchpredict-service").mkdir()
    (root / "batchpredict-service/db").write_text("secret")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "out").symlink_to(outside)
    (root / "in/secret").symlink_to(outside / "secret")
    (root / "again").symlink_to(root / "in")
    (root / "odd[1]").symlink_to(outside)
    (root.parent / "root-of-another").mkdir()
    return root


def paths(root: Path) -> RootedPaths:
    return RootedPaths([str(root)], [str(root / "batchpredict-service")])


def refused(where: RootedPaths, url: str) -> str:
    with pytest.raises(InvalidJob) as caught:
        where.check(url, "prediction_input.input_paths[0]")
    (violation,) = caught.value.violations
    assert violation.field == "prediction_input.input_paths[0]"
    return violation.description


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("{root}/in/a.json", "{root}/in/a.json"),
        ("{root}/in", "{root}/in"),
        ("{root}/in/", "{root}/in"),
        ("{root}//in/./a.json", "{root}/in/a.json"),
        ("{root}/in/../in/a.json", "{root}/in/a.json"),
        ("//{root}/in/a.json", "{root}/in/a.json"),
        ("file://{root}/in/a.json", "{root}/in/a.json"),
        ("FILE://{root}/in/a.json", "{root}/in/a.json"),
        ("{root}/again/a.json", "{root}/in/a.json"),
        ("{root}/new/folder", "{root}/new/folder"),
        ("{root}/in/*.json", "{root}/in/*.json"),
        ("{root}/in/**/a?[0-9].json", "{root}/in/**/a?[0-9].json"),
        ("{root}/*.json", "{root}/*.json"),
        ("{root}/in*/*", "{root}/in*/*"),
        ("{root}/again/*", "{root}/in/*"),
        ("in/a.json", "{root}/in/a.json"),
        ("*.json", "{root}/*.json"),
        ("{root}/%2e%2e/x", "{root}/%2e%2e/x"),
        ("{root}/in/…/x", "{root}/in/…/x"),
        ("{root}/.../x", "{root}/.../x"),
    ],
)
def test_paths_below_a_root(tree, given, taken):
    assert paths(tree).check(given.format(root=tree), "uri") == taken.format(root=tree)


@pytest.mark.parametrize(
    "given",
    [
        "/etc/passwd",
        "/",
        "",
        "{root}-of-another/x",
        "{root}/../outside/secret",
        "{root}/in/../../outside/secret",
        "../outside/secret",
        "in/../../outside/secret",
        "{root}/out",
        "{root}/out/secret",
        "{root}/out/new",
        "{root}/out/*",
        "{root}/in/secret",
        "{root}/odd[1]/secret",
        "{root}/*/../../outside/secret",
        "{root}/nothing*/../../outside/secret",
        "{root}*",
        "{root}*/x",
        "/*/x",
        "*/../../outside/secret",
        "file:/etc/passwd",
        "file:etc/passwd",
        "FILE:///etc/passwd",
        "file://localhost{root}/in/a.json",
        "file://{root}/../outside/secret",
        "local:/etc/passwd",
        "local:///etc/passwd",
        "~/x",
        "~root/x",
        "{root}/in/a.json\0",
        "{root}/in/\n",
        "{root}/in/\ud800",
        "http://127.0.0.1/x",
        "https://example.org/x",
        "gs://bucket/x",
        "memory://x",
        "data:,hello",
        "zip://a.json::{root}/in/a.zip",
        "zip::{root}/in/a.zip",
        "simplecache::file://{root}/in/a.json",
        "{root}/in/a.json::file:///etc/passwd",
        "/proc/self/environ",
        "/dev/stdin",
        "{root}/batchpredict-service",
        "{root}/batchpredict-service/db",
        "{root}/batchpredict-service/*",
        "{root}/in/../batchpredict-service/db",
    ],
)
def test_paths_that_are_refused(tree, given):
    where = paths(tree)
    refused(where, given.format(root=tree))
    assert not where.inside(given.format(root=tree))


def test_the_refusal_says_what_may_be_named(tree):
    sentence = f'"/etc/passwd" is not below a folder that jobs may use: {tree}.'
    assert refused(paths(tree), "/etc/passwd") == sentence


def test_what_a_pattern_has_matched_is_inside_or_not(tree):
    where = RootedPaths([str(tree)])
    pattern = where.check(f"{tree}/**", "uri")
    where = paths(tree)
    matched = [found.url for found in storage.match([pattern])]
    assert [url for url in matched if where.inside(url)] == [f"{tree}/again/a.json", f"{tree}/in/a.json"]
    assert f"{tree}/in/secret" in matched
    assert f"{tree}/batchpredict-service/db" in matched


@pytest.mark.parametrize(
    "given", ["", "/", "/**", "/*/db", "/?atch*/*", "/batchpredict[-]service/**", "/*/*", "/ke*"]
)
def test_what_holds_or_matches_the_services_own_files_is_refused_as_a_whole(tree, given):
    own = tree / "batchpredict-service"
    where = RootedPaths([str(tree)], [str(own), str(own / "db"), str(tree / "key")])
    assert "which is the service's own: name what is meant beside it." in refused(where, f"{tree}{given}")


@pytest.mark.parametrize(
    "given", ["{root}/in/a.json ", "{root}/in/ /", "{root}/in/ /.", "{root}/in/x*/ ", " ", " in/a.json", "\u3000in"]
)
def test_blanks_at_an_end_are_somebodys_mistake(tree, given):
    assert refused(paths(tree), given.format(root=tree)).endswith("begins or ends with a blank.")


def test_a_file_that_is_there_may_have_a_blank_at_its_end(tree):
    (tree / "in/b ").write_text("1")
    assert paths(tree).inside(f"{tree}/in/b ")


def test_nobody_knows_where_two_dots_lead_from_a_wildcard(tree):
    assert "has '..' behind a wildcard." in refused(paths(tree), f"{tree}/i*/../in/a.json")


def test_folders_are_not_matched_by_a_pattern_of_files(tree):
    assert paths(tree).check(f"{tree}/*", "uri") == f"{tree}/*"


def test_a_link_that_is_changed_after_the_check_is_found_at_its_use(tree):
    where = paths(tree)
    checked = where.check(f"{tree}/new/a.json", "uri")
    (tree / "new").symlink_to(tree.parent / "outside")
    assert not where.inside(checked)


def test_a_hard_link_to_the_services_own_files_is_refused(tree):
    os.link(tree / "batchpredict-service/db", tree / "in/innocent")
    where = RootedPaths([str(tree)], [str(tree / "batchpredict-service/db")])
    assert "is not below" in refused(where, f"{tree}/in/innocent")
    assert where.check(f"{tree}/in/a.json", "uri")


def test_a_root_may_be_a_link(tree):
    link = tree.parent / "link"
    link.symlink_to(tree)
    where = RootedPaths([str(link)])
    assert where.check(f"{link}/in/a.json", "uri") == f"{tree}/in/a.json"
    assert where.check(f"{tree}/in/a.json", "uri") == f"{tree}/in/a.json"
    assert refused(where, f"{link}/out/secret")


def test_a_root_that_becomes_another_folder_is_the_other_folder(tree):
    link = tree.parent / "link"
    link.symlink_to(tree)
    where = RootedPaths([str(link)])
    link.unlink()
    link.symlink_to(tree / "in")
    assert where.check(f"{link}/a.json", "uri") == f"{tree}/in/a.json"
    assert refused(where, str(tree))


def test_several_roots(tree):
    where = RootedPaths([f"{tree}/in", f"{tree}/batchpredict-service", "gs://bucket/in"])
    assert where.check("a.json", "uri") == f"{tree}/in/a.json"
    assert where.check(f"{tree}/batchpredict-service/x", "uri")
    assert where.check("gs://bucket/in/x", "uri")


REMOTE = RootedPaths(["gs://bucket/in", "s3a://Bucket", "https://Example.org:443/data/"])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("gs://bucket/in", "gs://bucket/in"),
        ("gs://bucket/in/", "gs://bucket/in"),
        ("GS://bucket/in/x", "gs://bucket/in/x"),
        ("gcs://bucket/in/*.json", "gs://bucket/in/*.json"),
        ("gs://bucket/in/%2e%2e/x", "gs://bucket/in/%2e%2e/x"),
        ("gs://bucket/in/x#1", "gs://bucket/in/x#1"),
        ("s3://Bucket", "s3://Bucket"),
        ("s3://Bucket/*", "s3://Bucket/*"),
        ("s3A://Bucket/x", "s3://Bucket/x"),
        ("HTTPS://EXAMPLE.org/data/x", "https://example.org/data/x"),
        ("https://example.org:443/data/x%20y", "https://example.org/data/x%20y"),
        ("x/y", "gs://bucket/in/x/y"),
    ],
)
def test_urls_below_a_root(given, taken):
    assert REMOTE.check(given, "uri") == taken


@pytest.mark.parametrize(
    "given",
    [
        "gs://bucket",
        "gs://bucket/*",
        "gs://bucket/in*",
        "gs://bucket/i?/x",
        "gs://bucket/inside",
        "gs://bucket/in/../out",
        "gs://bucket/in/./x",
        "gs://bucket/in//x",
        "gs://bucket//in/x",
        "gs://Bucket/in/x",
        "gs://*/in/x",
        "gs:///bucket/in/x",
        "gs:/bucket/in/x",
        "gs://user@bucket/in/x",
        "gs://bucket.evil.org/in/x",
        "gs://bucket/in/x::s3://Bucket/y",
        "s3://bucket/x",
        "s3://",
        "../out",
        "http://example.org/data/x",
        "https://example.org/",
        "https://example.org/data/../x",
        "https://example.org/data/%2e%2e/x",
        "https://example.org/data/%2E./x",
        "https://example.org/data/a%2f..%2fx",
        "https://example.org/data/%252e%252e/x",
        "https://example.org/data/..\\x",
        "https://example.org/data/x?y=/../..",
        "https://example.org/data/x#y",
        "https://example.org:8443/data/x",
        "https://example.org@evil.org/data/x",
        "https://evil.org/https://example.org/data/x",
        "https://example.org.evil.org/data/x",
        "https://ｅxample.org/data/x",
        "https://example.org\u3002evil/data/x",
        "file:///bucket/in/x",
        "/bucket/in/x",
    ],
)
def test_urls_that_are_refused(given):
    refused(REMOTE, given)


@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("nowhere", "--root: there is no folder 'nowhere'"),
        ("gs://bucket/../x", "--root: 'gs://bucket/../x' has '.', '..' or an empty part in it"),
        ("gs://b*/x", "--root: 'gs://b*/x' names no bucket"),
        ("gs://b/x*", "--root: 'gs://b/x*' has a wildcard in it; a root is one folder"),
        ("/proc", "--root: '/proc' is the service's own, or the kernel's"),
    ],
)
def test_roots_that_cannot_be(root, sentence):
    with pytest.raises(WrongCall) as caught:
        RootedPaths([root])
    assert str(caught.value).startswith(sentence)


def test_a_service_keeps_its_own_files_from_jobs(tree, monkeypatch):
    monkeypatch.chdir(tree)
    key = tree / "in/hook.key"
    key.write_text("k")
    config = tree / "service.toml"
    config.write_text("")
    database = tree / "in/jobs.db"
    (tree / "in/jobs.db.schema-0001.20260131T120000Z").write_text("the jobs of everybody")
    settings = Settings(webhook_secret_file="in/hook.key", file="service.toml", database=str(database))
    where = RootedPaths.of(settings)
    assert where.check("in/a.json", "uri") == f"{tree}/in/a.json"
    database_files = [f"in/jobs.db{end}" for end in ("", "-wal", "-journal", ".schema-0001.20260131T120000Z")]
    for own in ("batchpredict-service/models/m", "in/hook.key", "service.toml", *database_files):
        assert "is not below" in refused(where, own)
    assert "the service's own" in refused(where, "in/jobs.db.*")


def test_data_on_a_store_is_kept_from_jobs_too():
    where = RootedPaths(["gs://bucket"], ["GCS://bucket/service/"])
    assert refused(where, "gs://bucket/service/models/m")
    assert refused(where, "gs://bucket/service")
    assert where.check("gs://bucket/services", "uri")


NAMES = """
    in a.json secret out again up loop .. . * ?n [io]* odd[1] odd[1]* outside root %2e%2e ~ ..; ．． {root} tmp
    batchpredict-service db bat*
"""
PARTS = st.sampled_from([*NAMES.split(), "", " "])
BEGINNINGS = """
    / // {root}/ {root} file://{root}/ FILE:/// file:{root}/ local://{root}/ ~/ {root}/../ {root}/out/../
    memory:// simplecache::file://{root}/ gs://b/::{root}/
"""
STARTS = st.sampled_from([*BEGINNINGS.split(), ""])


@pytest.fixture(scope="module")
def maze() -> Iterator[str]:
    """As `tree`, with links that lead up, to themselves, and from one to the other."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder)) / "root"
        (root / "in").mkdir(parents=True)
        (root / "in/a.json").write_text("fine")
        (root / "batchpredict-service").mkdir()
        (root / "batchpredict-service/db").write_text("secret")
        (root.parent / "outside").mkdir()
        (root.parent / "outside/secret").write_text("secret")
        (root.parent / "secret").write_text("secret")
        (root / "out").symlink_to("../outside")
        (root / "in/up").symlink_to("..")
        (root / "up").symlink_to("..")
        (root / "in/out").symlink_to("../out")
        (root / "loop").symlink_to("loop")
        (root / "in/secret").symlink_to(root.parent / "secret")
        (root / "odd[1]").symlink_to(root.parent)
        (root / "again").symlink_to(root / "in")
        yield str(root)


@example("{root}/odd[1]/", ["secret"])
@given(STARTS, st.lists(PARTS, max_size=5))
def test_nothing_outside_of_a_root_is_ever_read(maze, start, parts):
    url = (start + "/".join(parts)).replace("{root}", maze)
    where = RootedPaths([maze], [f"{maze}/batchpredict-service"])
    try:
        checked = where.check(url, "uri")
    except InvalidJob:
        return
    assert checked == maze or checked.startswith(f"{maze}/")
    with contextlib.suppress(NoMatch):
        for found in storage.match([checked]):
            if where.inside(found.url):
                assert storage.read_bytes(found.url) == b"fine"
    # What is written is written to the letter.
    target = f"{checked}/part"
    assert where.check(checked, "uri") == checked
    assert where.inside(checked)
    assert os.path.realpath(target).startswith(f"{maze}/")
    assert not os.path.realpath(target).startswith(f"{maze}/batchpredict-service")


@given(st.text(max_size=60))
def test_any_text_is_below_a_root_or_refused(maze, text):
    where = RootedPaths([maze])
    for url in (text, f"{maze}/{text}", f"file://{maze}/{text}", f"gs://{text}"):
        with contextlib.suppress(InvalidJob):
            assert os.path.realpath(where.check(url, "uri")).startswith(maze)


@given(st.lists(st.sampled_from(["in", "..", ".", "", "*", "x", "%2e%2e", "in*", "bucket"]), max_size=5))
def test_checked_urls_stay_below_their_root_whoever_resolves_them(parts):
    with contextlib.suppress(InvalidJob):
        checked = REMOTE.check("gs://bucket/" + "/".join(parts), "uri")
        path = os.path.normpath(checked.removeprefix("gs://"))
        assert path == "bucket/in" or path.startswith("bucket/in/")
