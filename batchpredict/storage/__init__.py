"""Files by URL: match, open, create-if-absent, atomic publish, on any file system that fsspec knows."""

from batchpredict.storage.files import (
    Input,
    close_written,
    create_if_absent,
    delete,
    exists,
    is_directory,
    is_local,
    list_names,
    local_path,
    move,
    open_read,
    open_write,
    read_bytes,
    replace_bytes,
    size_of,
    sizes_in,
    sync,
)
from batchpredict.storage.match import expand, match, version
from batchpredict.storage.urls import join, name_of, parent

__all__ = [
    "Input",
    "close_written",
    "create_if_absent",
    "delete",
    "exists",
    "expand",
    "is_directory",
    "is_local",
    "join",
    "list_names",
    "local_path",
    "match",
    "move",
    "name_of",
    "open_read",
    "open_write",
    "parent",
    "read_bytes",
    "replace_bytes",
    "size_of",
    "sizes_in",
    "sync",
    "version",
]
