"""What an object store holds under a prefix, a page at a time.

fsspec's own `ls`, `find` and `glob` give a folder at once, with a dict of a kilobyte for each object. The stores
themselves list in pages, sorted by name, and know prefixes; the calls here are theirs. Other file systems are
listed by fsspec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec

from batchpredict.storage.clients import os_errors

# The most that a store gives at once.
_GCS_PAGE = 5000
_S3_PAGE = 1000


class Entry(NamedTuple):
    """An object: its path as its file system writes it, and what is known of it, under fsspec's names."""

    path: str
    info: dict[str, Any]


def objects(fs: fsspec.AbstractFileSystem, folder: str, prefix: str = "", *, deep: bool = False) -> Iterator[Entry]:
    """The files in a folder whose names begin with `prefix`, sorted by path; none if there is no such folder.

    Args:
      folder: a path of `fs`.
      prefix: of the names.
      deep: the files in the folders below it as well.

    Raises:
      OSError: the store refuses or cannot be reached.
    """
    folder = folder.rstrip("/")
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    if protocol in ("gs", "gcs"):
        pages = _gcs_pages(fs, folder, prefix, deep)
    elif protocol in ("s3", "s3a"):
        pages = _s3_pages(fs, folder, prefix, deep)
    else:
        pages = iter([_other(fs, folder, prefix, deep)])
    while True:
        with os_errors():
            page = next(pages, None)
        if page is None:
            return
        yield from page


def _gcs_pages(fs: Any, folder: str, prefix: str, deep: bool) -> Iterator[list[Entry]]:
    """https://cloud.google.com/storage/docs/json_api/v1/objects/list"""
    bucket, _, key = folder.partition("/")
    query: dict[str, Any] = {
        "prefix": f"{key}/{prefix}" if key else prefix,
        "maxResults": _GCS_PAGE,
        "fields": "nextPageToken,items(name,size,generation,updated)",
    }
    if not deep:
        query["delimiter"] = "/"
    while True:
        answer = fs.call("GET", "b/{}/o", bucket, json_out=True, **query)
        yield [
            Entry(
                f"{bucket}/{item['name']}",
                {"size": int(item["size"]), "generation": item["generation"], "updated": item.get("updated")},
            )
            for item in answer.get("items", [])
            # An object that ends in a slash is how the console draws a folder.
            if not item["name"].endswith("/")
        ]
        query["pageToken"] = answer.get("nextPageToken")
        if not query["pageToken"]:
            return


def _s3_pages(fs: Any, folder: str, prefix: str, deep: bool) -> Iterator[list[Entry]]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
    bucket, _, key = folder.partition("/")
    query = {"Bucket": bucket, "Prefix": f"{key}/{prefix}" if key else prefix, "MaxKeys": _S3_PAGE}
    if not deep:
        query["Delimiter"] = "/"
    while True:
        answer = fs.call_s3("list_objects_v2", **query)
        yield [
            Entry(
                f"{bucket}/{item['Key']}",
                {"size": int(item["Size"]), "ETag": item["ETag"], "LastModified": item.get("LastModified")},
            )
            for item in answer.get("Contents", [])
            if not item["Key"].endswith("/")
        ]
        if not answer.get("IsTruncated"):
            return
        query["ContinuationToken"] = answer["NextContinuationToken"]


def _other(fs: fsspec.AbstractFileSystem, folder: str, prefix: str, deep: bool) -> list[Entry]:
    fs.invalidate_cache(folder)
    try:
        listed = fs.find(folder, detail=True).values() if deep else fs.ls(folder, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    begin = f"{folder}/{prefix}"
    found = [
        Entry(info["name"], info) for info in listed if info["type"] == "file" and info["name"].startswith(begin)
    ]
    return sorted(found, key=lambda entry: entry.path)
