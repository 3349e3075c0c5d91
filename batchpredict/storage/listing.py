"""What a store that fsspec knows holds below a folder, a page at a time.

fsspec's own `ls`, `find` and `glob` give a folder at once, with a dict of a kilobyte for each object; `glob` takes
a name for a pattern, and `find` passes over what may not be listed. The stores themselves list in pages, sorted by
name, and know prefixes; the calls here are theirs. Other file systems are listed a folder at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from batchpredict.storage.clients import one_line, os_errors

# The most that a store gives at once.
_GCS_PAGE = 5000
_S3_PAGE = 1000


class Entry(NamedTuple):
    """An object: its path as its file system writes it, and what is known of it, under fsspec's names."""

    path: str
    info: dict[str, Any]


def protocol_of(fs: fsspec.AbstractFileSystem) -> str:
    """The first protocol of a file system: "gs", "s3", "memory"."""
    return str(fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0])


def objects(
    fs: fsspec.AbstractFileSystem, folder: str, prefix: str = "", *, enters: Callable[[str], bool] | None = None
) -> Iterator[Entry]:
    """The files in a folder whose names begin with `prefix`, sorted by path; none if there is no such folder.

    Args:
      fs: the file system.
      folder: a path of it.
      prefix: of the names, and of those of the folders that are entered.
      enters: whether the files of a folder below it, given by its path relative to `folder`, are wanted as well;
        where a store lists without regard to folders, more may come than that. None for no folder at all.

    Raises:
      OSError: the store refuses or cannot be reached.
    """
    folder = folder.rstrip("/")
    deep = enters is not None
    protocol = protocol_of(fs)
    if protocol in ("gs", "gcs"):
        pages = _gcs_pages(fs, folder, prefix, deep)
    elif protocol in ("s3", "s3a"):
        pages = _s3_pages(fs, folder, prefix, deep)
    elif isinstance(fs, MemoryFileSystem) and deep:
        pages = _memory_pages(fs, folder, prefix)
    else:
        pages = iter([sorted(_walk(fs, folder, "", prefix, enters))])
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
        "fields": "nextPageToken,items(name,size,generation,contentEncoding,updated)",
    }
    if not deep:
        query["delimiter"] = "/"
    while True:
        answer = fs.call("GET", "b/{}/o", bucket, json_out=True, **query)
        yield [
            Entry(f"{bucket}/{item['name']}", {**item, "size": int(item["size"])})
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


def _memory_pages(fs: Any, folder: str, prefix: str) -> Iterator[list[Entry]]:
    """All at once: to list a folder it looks through everything that it has, anyway."""
    begin = f"{folder}/{prefix}"
    found = fs.find(folder, detail=True).items()
    yield sorted(Entry(path, info) for path, info in found if path.startswith(begin))


def _walk(
    fs: fsspec.AbstractFileSystem, top: str, folder: str, prefix: str, enters: Callable[[str], bool] | None
) -> Iterator[Entry]:
    path = f"{top}/{folder}" if folder else top
    fs.invalidate_cache(path)
    try:
        with os_errors():
            listed = fs.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise type(error)(f"'{path}': {one_line(error)}") from error
    for info in listed:
        name = info["name"].rstrip("/")[len(path) + 1 :]
        if not info["name"].startswith(f"{path}/") or not name.startswith(prefix):
            continue
        below = f"{folder}/{name}" if folder else name
        if info["type"] == "directory":
            if enters is not None and enters(below):
                yield from _walk(fs, top, below, "", enters)
        elif info["type"] == "file":
            yield Entry(info["name"], info)
