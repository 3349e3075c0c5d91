"""A job reads and writes only below the roots, also when it begins: links may have changed since it was created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchpredict import storage
from batchpredict.errors import InvalidJob, JobFailed, NoMatch
from batchpredict.ledger import named_inputs
from batchpredict.service.access import RootedPaths
from batchpredict.service.registry.sources import Links

_INPUTS = "prediction_input.input_paths"


def refuse_strays(
    places: Sequence[tuple[str, str]], pinned: Mapping[str, Any], roots: Sequence[str], excluded: Sequence[str]
) -> None:
    """Look at every place of this machine that a work names, with its links resolved.

    What another program changes between this look and the reading of a file is not seen; see `access.paths`.

    Args:
      places: fields of the job and the URLs or patterns in them, as `runners.Work` has them.
      pinned: what the names in the job meant. The copy of a version is the service's own and not below a root. Of
        an epoch of a watch it has a list of the input files, and they are looked at in the place of what patterns
        match.
      roots, excluded: as `RootedPaths` takes them.

    Raises:
      JobFailed: one leads out of the roots.
    """
    paths = RootedPaths(roots, excluded)
    links = Links(paths)
    copy = pinned.get("uri") if pinned.get("version") else None
    listed = str(pinned.get("inputList", ""))
    for field, url in places:
        # An object store has no links, and its URLs were looked at when the job was created.
        if url == copy or not storage.is_local(url):
            continue
        if _leads_out(url, paths) if listed and field == _INPUTS else _is_stray(url, paths, links):
            raise _stray(field, url)
    if listed:
        for file in named_inputs(str(pinned["outputPath"]), listed):
            if links.leads_out(file.url):
                raise _stray(_INPUTS, file.url)


def _stray(field: str, url: str) -> JobFailed:
    return JobFailed(f"{field}: '{url}' leads out of the folders that jobs may use.")


def _leads_out(pattern: str, paths: RootedPaths) -> bool:
    """Whether a pattern itself, by its part before the first wildcard, lies outside."""
    try:
        paths.check(pattern, _INPUTS)
    except InvalidJob:
        return True
    return False


def _is_stray(url: str, paths: RootedPaths, links: Links) -> bool:
    if not paths.inside(url):
        return True
    try:
        # Of a pattern what it matches, of a folder what is in it.
        return any(links.leads_out(file.url) for file in storage.expand(url))
    except (NoMatch, OSError):
        # Nothing is there, or cannot be read: for the job to say.
        return False
