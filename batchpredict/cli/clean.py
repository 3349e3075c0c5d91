"""`batchpredict clean`: removes what jobs have left behind in an output folder, and models that were fetched."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime, timezone
from typing import Any

from batchpredict.counted import counted
from batchpredict.errors import BatchPredictError, WrongFlag
from batchpredict.launch import FAILED, SUCCEEDED, WRONG_CALL, silence_logs, status_of


def clean(options: argparse.Namespace) -> int:
    """Remove, or show, what nobody needs; returns the exit status."""
    silence_logs()
    if options.output is None and not options.cache:
        print("batchpredict clean: give an output folder, or --cache, or both", file=sys.stderr)
        return WRONG_CALL
    if options.cache and options.dry_run:
        print("batchpredict clean: --dry-run cannot tell what of the --cache would be removed", file=sys.stderr)
        return WRONG_CALL
    try:
        found = [] if options.output is None else _clean_output(options)
        cached = _clean_cache(options) if options.cache else None
    except (BatchPredictError, OSError) as error:
        print(f"batchpredict clean: {str(error).removeprefix('outputPath: ')}", file=sys.stderr)
        return status_of(error) if isinstance(error, BatchPredictError) else FAILED
    if options.format == "json":
        of_cache = {} if cached is None else {"cache": cached}
        print(json.dumps({"dryRun": options.dry_run, "removed": found, **of_cache}, indent=2))
        return SUCCEEDED
    for one in found:
        verb = "would remove" if options.dry_run else "removed"
        size = f"{counted(one['files'], 'file')}, {one['bytes']:,} bytes"
        print(f"{verb} {one['kind']} {one['path']} ({size}, last changed {one['changed']})")
    if options.output is not None and not found:
        print("nothing to remove")
    if cached is not None:
        print(f"removed {cached['models']:,} cached models ({cached['bytes']:,} bytes)")
    return SUCCEEDED


def _clean_output(options: argparse.Namespace) -> list[dict[str, Any]]:
    from batchpredict import storage
    from batchpredict.ledger import find_leftovers, remove

    if not storage.is_directory(options.output):
        raise WrongFlag(f"there is no folder '{options.output}'")
    found = []
    for one in find_leftovers(options.output, time.time() - options.older_than):
        if not options.dry_run:
            remove(options.output, one)
        path = storage.join(options.output, one.path)
        found.append(_shown(one.kind, path, one.count, one.bytes, one.changed))
    return found


def _clean_cache(options: argparse.Namespace) -> dict[str, int]:
    """Models that nobody uses and that were not asked for so long."""
    from batchpredict.models import clean_cache

    cleaned = clean_cache(0, older_than=options.older_than)
    return {"models": cleaned.models, "bytes": cleaned.bytes}


def _shown(kind: str, path: str, files: int, size: int, changed: float) -> dict[str, Any]:
    when = datetime.fromtimestamp(changed, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"kind": kind, "path": path, "files": files, "bytes": size, "changed": when}
