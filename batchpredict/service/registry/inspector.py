"""The process that reads a SavedModel's signatures: `python -m ….registry.inspector URI [BYTES]`.

A SavedModel comes from a user, and TensorFlow's C++ may crash on it or take all memory. This writes one JSON object
to standard output, either {"found": …} as `inspect` prints it or {"error": sentence}, and ends when its standard
input does, which is when the process that started it is gone. BYTES bound its address space.
"""

from __future__ import annotations

import json
import os
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def main(arguments: list[str]) -> int:
    uri, *limit = arguments
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(limit[0]), int(limit[0])))
    # Whatever a library prints is not part of the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    from batchpredict.errors import ModelUnusable
    from batchpredict.models import look

    try:
        document: dict[str, object] = {"found": look(uri).to_dict()}
    except ModelUnusable as error:
        document = {"error": str(error)}
    with os.fdopen(answer, "w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(document, file)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    # The thread that waits for the end of standard input is in no hurry.
    os._exit(status)
