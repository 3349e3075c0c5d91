"""A process that performs the operations of a registry until it is killed: `registry_server.py FOLDER [STALL]`.

STALL is what takes for ever in it: "copy" from its third file on, "inspect" the signatures, "finish" the operation.
It writes a line to `FOLDER/stalled` when it has come to that.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from service.registry_support import inspect_here, world

from batchpredict.service.registry import inspection, sources


def stall(folder: str) -> NoReturn:
    with open(os.path.join(folder, "stalled"), "a") as file:
        file.write("stalled\n")
    while True:
        time.sleep(60)


def main(folder: str, where: str = "") -> None:
    options: dict[str, Any] = {"inspecting": inspect_here if where != "process" else inspection.inspect}
    if where == "copy":
        blocks, count = sources.blocks, iter(range(10**6))

        def slow(*arguments: Any) -> Iterator[bytes]:
            for block in blocks(*arguments):
                if next(count) == 2:
                    yield block[: len(block) // 2]
                    stall(folder)
                yield block

        setattr(sources, "blocks", slow)  # noqa: B010 - to another signature
    elif where == "inspect":
        options["inspecting"] = lambda uri, check: stall(folder)
    with world(folder, started=False, **options) as here:
        if where == "finish":
            here.store.finish_operation = lambda *_, **__: stall(folder)  # type: ignore[method-assign]
        here.registry.start()
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
