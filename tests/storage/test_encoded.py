"""Objects that a store keeps with a Content-Encoding, as `gsutil cp -Z` writes them, are compressed files."""

from __future__ import annotations

import gzip
import http.client
import json
import urllib.parse
from pathlib import Path

import pytest
import support
from stores.gcs import Gcs

from batchpredict import storage
from batchpredict.errors import NoInput
from batchpredict.models.fetch import fetch_model

LINES = [str(number) for number in range(5000)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


def put(gcs: Gcs, url: str, data: bytes, encoding: str = "gzip") -> str:
    """An object with a Content-Encoding, past every client."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    boundary = "part of this test"
    described = json.dumps({"name": name, "contentEncoding": encoding}).encode()
    body = b"\r\n".join([
        *(f'--{boundary}'.encode(), b"Content-Type: application/json", b"", described),
        *(f'--{boundary}'.encode(), b"Content-Type: text/plain", b"", data, f"--{boundary}--".encode(), b""),
    ])  # fmt: skip
    query = urllib.parse.urlencode({"uploadType": "multipart", "name": name, "contentEncoding": encoding})
    connection = http.client.HTTPConnection(*gcs.proxy.backend)
    kind = f'multipart/related; boundary="{boundary}"'
    connection.request("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", body, {"Content-Type": kind})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()
    return url


pytestmark = pytest.mark.gcs


def test_the_stored_bytes_are_listed_and_read(gcs: Gcs) -> None:
    data = gzip.compress(TEXT)
    url = put(gcs, f"{gcs.folder()}/lines.json", data)
    for pattern in (url, f"{storage.parent(url)}/*", storage.parent(url)):
        (found,) = storage.expand(pattern)
        assert (found.size, found.encoding) == (len(data), "gzip")
    assert storage.read_range(url, 0, len(data)) == data
    assert storage.read_range(url, 100, 200) == data[100:200]
    with storage.open_read(url) as file:
        file.seek(50)
        assert file.read(100) == data[50:150]
    assert storage.read_bytes(url) == TEXT


@pytest.mark.parametrize("name", ["lines.json", "lines.json.gz", "lines"])
@pytest.mark.parametrize("data_format", ["TEXT", "TF_RECORD", "TF_RECORD_GZIP"])
def test_every_record_is_scored_whatever_the_name_is(name: str, data_format: str, gcs: Gcs, tmp_path: Path) -> None:
    data = TEXT if data_format == "TEXT" else b"".join(support.frame(line.encode()) for line in LINES)
    folder = gcs.folder()
    put(gcs, f"{folder}/{name}", gzip.compress(data))
    model = support.model("double")
    # Small splits: what is compressed is one split all the same.
    document = support.job(model, f"{folder}/*", str(tmp_path / "out"), data_format, splitBytes=1000)
    assert support.counts(support.score_in_process(document)) == (len(LINES), 0)


def test_an_encoding_that_nobody_knows_is_said(gcs: Gcs, tmp_path: Path) -> None:
    url = put(gcs, f"{gcs.folder()}/x", b"...", "br")
    document = support.job(support.model("double"), url, str(tmp_path / "out"))
    with pytest.raises(NoInput, match=rf"^inputPaths: '{url}' is stored with Content-Encoding: br"):
        support.score_in_process(document)


def test_a_parquet_file_in_it_is_said(gcs: Gcs, tmp_path: Path) -> None:
    url = put(gcs, f"{gcs.folder()}/x.parquet", gzip.compress(b"PAR1"))
    document = support.job(support.model("double"), url, str(tmp_path / "out"), "PARQUET")
    with pytest.raises(
        NoInput, match="Content-Encoding: gzip, which cannot be undone in a file of dataFormat PARQUET"
    ):
        support.score_in_process(document)


def test_a_model_is_what_it_was_before_it_was_encoded(gcs: Gcs, tmp_path: Path) -> None:
    base = support.upload(support.model("double"), f"{gcs.folder()}/model")
    graph = storage.read_bytes(f"{base}/saved_model.pb")
    put(gcs, f"{base}/saved_model.pb", gzip.compress(graph))
    with open(f"{fetch_model(base, str(tmp_path))}/saved_model.pb", "rb") as file:
        assert file.read() == graph
