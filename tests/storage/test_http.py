"""Inputs of a web server: what was read is what is there, or one error says why not."""

from __future__ import annotations

import functools
import gzip
import http.server
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from batchpredict import storage
from batchpredict.errors import NoMatch

DATA = b"".join(b"%d\n" % number for number in range(1000))


# What was asked for, by how it is served.
asked: list[str] = []


class Requests(http.server.SimpleHTTPRequestHandler):
    """A server of files whose first part of a path says how it serves what follows."""

    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        how = urllib.parse.urlsplit(self.path).path.split("/")[1]
        if how == "plain":
            super().do_GET() if self.command == "GET" else super().do_HEAD()
            return
        asked.append(how)
        if how == "missing":
            self._answer(404, b"")
        elif how == "busy" and len(asked) < 3:
            self._answer(503, b"")
        elif how == "no-head" and self.command == "HEAD":
            self._answer(405, b"")
        elif how == "chunked":
            self._answer(200, DATA, chunked=True)
        elif how == "gzip":
            self._answer(200, gzip.compress(DATA), {"Content-Encoding": "gzip"})
        elif how == "html":
            self._answer(200, b"<html>log in first</html>", {"Content-Type": "text/html; charset=utf-8"})
        elif how == "html-data":
            self._answer(200, DATA, {"Content-Type": "text/html"})
        elif "Range" in self.headers and how != "no-range":
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            part = DATA[int(first) : int(last) + 1]
            if not part:
                self._answer(416, b"", {"Content-Range": f"bytes */{len(DATA)}"})
                return
            place = f"bytes {first}-{int(first) + len(part) - 1}/{len(DATA)}"
            self._answer(206, part, {"Content-Range": place})
        else:
            self._answer(200, DATA)

    do_GET = do_HEAD = _serve  # noqa: N815

    def _answer(
        self, status: int, data: bytes, headers: Mapping[str, str] | None = None, *, chunked: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
            data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served" / "plain"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.json", "b.json", "sub/c.json", "_SUCCESS", ".a.json.crc"):
        (folder / name).write_bytes(DATA)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Requests, directory=str(folder.parent))
    ) as server:
        asked.clear()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("how", ["plain/a.json", "ranges/x", "no-range/x", "no-head/x", "busy/x", "html-data/x"])
def test_a_file_is_found_and_read(how: str, server: str) -> None:
    (found,) = storage.expand(f"{server}/{how}")
    assert (found.url, found.size) == (f"{server}/{how}", len(DATA))
    for start, end in ((0, 10), (995, 2000), (len(DATA) - 3, len(DATA) + 50), (len(DATA), len(DATA) + 9), (5, 5)):
        assert storage.read_range(found.url, start, end) == DATA[start:end]
    with storage.open_read(found.url) as file:
        assert file.read(7) == DATA[:7]
        file.seek(-4, 2)
        assert list(file) == DATA[-4:].splitlines(keepends=True)


def test_a_signed_url_is_a_name(server: str) -> None:
    url = f"{server}/ranges/x?signature=a[1]b"
    assert [file.url for file in storage.expand(url)] == [url]
    assert storage.read_range(url, 0, 4) == DATA[:4]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("chunked/x", r"does not say how many bytes '.*' has \(no Content-Length\)"),
        ("gzip/x", "Content-Encoding: gzip"),
        ("html/x", "is a page of HTML"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_reason(how: str, why: str, server: str) -> None:
    with pytest.raises(NoMatch, match=rf"^'{server}/{how}' cannot be listed: .*{why}"):
        list(storage.expand(f"{server}/{how}"))


def test_a_file_that_is_not_there(server: str) -> None:
    with pytest.raises(NoMatch, match=r"missing/x' matches no file"):
        list(storage.expand(f"{server}/missing/x"))
    assert not storage.exists(f"{server}/missing/x")
    # Nothing was asked for again.
    assert asked == ["missing"] * 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("plain/", ["a.json", "b.json"]),
        ("plain/sub", ["sub/c.json"]),
        ("plain/*.json", ["a.json", "b.json"]),
        ("plain/**", ["a.json", "b.json", "sub/c.json"]),
        ("plain/_*", ["_SUCCESS"]),
    ],
)
def test_a_folder_is_its_files_and_never_the_page_that_lists_them(
    pattern: str, names: list[str], server: str
) -> None:
    found = list(storage.expand(f"{server}/{pattern}"))
    assert [file.url.removeprefix(f"{server}/plain/") for file in found] == names
    assert {file.size for file in found} == {len(DATA)}


@pytest.mark.parametrize("pattern", ["plain", "plain/*.json", "plain/**"])
def test_a_link_to_a_file_that_has_gone_hides_none_of_the_others(pattern: str, server: str, tmp_path: Path) -> None:
    (tmp_path / "served" / "plain" / "aa.json").symlink_to("nowhere")
    names = [storage.name_of(file.url) for file in storage.expand(f"{server}/{pattern}")]
    assert names[:2] == ["a.json", "b.json"]


def test_nothing_is_written(server: str) -> None:
    for write in (storage.open_write, storage.delete, lambda url: storage.create_if_absent(url, b"1")):
        with pytest.raises(PermissionError, match="nothing can be written"):
            write(f"{server}/x")
