"""Files by URL: match, open, create-if-absent, atomic publish, on any file system that fsspec knows.

`Store` is the contract, the functions here are its operations on the store of a URL, and `Double` is a store for
tests.
"""

from batchpredict.storage.double import Double
from batchpredict.storage.files import (
    abandon,
    any_begins,
    canonical,
    check,
    close_written,
    create_if_absent,
    delete,
    download,
    exists,
    files_in,
    info,
    is_directory,
    is_local,
    lines_of,
    list_names,
    local_path,
    move,
    open_read,
    open_write,
    read_bytes,
    read_range,
    replace_bytes,
    size_of,
    sizes_in,
    sizes_of,
    sync,
    sync_folders,
    tree,
    version,
    walk,
    writing_to,
)
from batchpredict.storage.interface import AgedFile, Input, Store
from batchpredict.storage.match import expand, match
from batchpredict.storage.pattern import Pattern, is_magic
from batchpredict.storage.retry import again
from batchpredict.storage.routing import mounted
from batchpredict.storage.urls import absolute, join, name_of, parent

__all__ = [
    "AgedFile",
    "Double",
    "Input",
    "Pattern",
    "Store",
    "abandon",
    "absolute",
    "again",
    "any_begins",
    "canonical",
    "check",
    "close_written",
    "create_if_absent",
    "delete",
    "download",
    "exists",
    "expand",
    "files_in",
    "info",
    "is_directory",
    "is_local",
    "is_magic",
    "join",
    "lines_of",
    "list_names",
    "local_path",
    "match",
    "mounted",
    "move",
    "name_of",
    "open_read",
    "open_write",
    "parent",
    "read_bytes",
    "read_range",
    "replace_bytes",
    "size_of",
    "sizes_in",
    "sizes_of",
    "sync",
    "sync_folders",
    "tree",
    "version",
    "walk",
    "writing_to",
]
