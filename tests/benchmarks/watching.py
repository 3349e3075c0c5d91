"""What a watch costs beside the listing, and whether its memory grows with the files: a table of a few sizes.

    PYTHONPATH=$PWD:$PWD/tests python tests/benchmarks/watching.py [--files 100000,1000000]

Files are real and empty; the first epoch, of all of them, is claimed and not scored. Then ten files of a record
arrive, which a job scores whose worker was started while the watch waited, as in the command.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import support

from batchpredict.epochs import Epoch, Execution, Finished, FixedModel, Folder, Pace, Wanted, Watch
from batchpredict.epochs.listing import listed
from batchpredict.job import PredictionOutput
from batchpredict.runners import choose

# Files of a folder.
_FOLDER = 1000
_ARRIVING = 10
# Seconds in which a worker imports TensorFlow, as the pause of a watch leaves them.
_WAITING = 20.0


class Silent:
    """A `WatchObserver` that only keeps what was done."""

    def __init__(self) -> None:
        self.done: list[Finished] = []

    def message(self, text: str) -> None:
        del text

    def warning(self, text: str) -> None:
        print(text, file=sys.stderr)

    @contextlib.contextmanager
    def job(self, epoch: Epoch) -> Iterator[Any]:
        del epoch
        yield None

    def finished(self, done: Finished) -> None:
        self.done.append(done)


def fill(folder: str, files: int) -> None:
    """Make empty files, in folders of a thousand."""
    for number in range(files):
        if number % _FOLDER == 0:
            os.makedirs(f"{folder}/{number // _FOLDER:06d}")
        os.close(os.open(f"{folder}/{number // _FOLDER:06d}/{number:09d}.json", os.O_CREAT | os.O_WRONLY))


def measured(base: str) -> dict[str, float]:
    """The figures of a watch over the files that are in a folder."""
    observer = Silent()
    folder = Folder(f"{base}/out")
    patterns = (f"{base}/in/**/*.json",)
    source = {"dataFormat": "TEXT", "inputPaths": list(patterns), "region": "local"}
    execution = Execution(folder, choose("DirectRunner", ()), workers=1, early=True)

    def execute(epoch: Epoch, watching: Any) -> PredictionOutput:
        if epoch.number == 1:
            return PredictionOutput(output_path="", prediction_count=0, error_count=0)
        return execution(epoch, watching)

    def watch() -> Watch:
        wanted = Wanted(patterns, settle=0.0)
        model = FixedModel(support.model("double"))
        return Watch(folder, wanted, source, model, execute, observer, pace=Pace(every=1e-3, merged=1))

    def listing() -> float:
        began = time.process_time()
        for _ in listed(folder.output_path, patterns):
            pass
        return time.process_time() - began

    listings = [listing()]
    watching = watch()
    claimed = processor(watching.step)
    merged = processor(watching.step)
    # Of the watch alone: TensorFlow and Beam come later, and are the same for any number of files.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    look = job = 0.0
    # The first of them imports Beam, as the first of any watch does.
    for epoch in (2, 3):
        time.sleep(_WAITING)
        for number in range(_ARRIVING):
            support.write(f"{base}/in/000000/late-{epoch}-{number}.json", "1\n")
        look = processor(watching.step)
        began = time.monotonic()
        watching.step()
        job = time.monotonic() - began
        if len(observer.done) < epoch:
            raise SystemExit("the epoch was not done")
    listings.append(listing())
    watching.close()
    execution.close()
    return {
        "listing": min(listings),
        "claimed": claimed,
        "merged": merged,
        "look": look,
        "job": job,
        "beside": look - min(listings) + job,
        "peak": peak / 1024,
    }


def processor(step: Callable[[], object]) -> float:
    """Seconds of a processor that a step takes: a listing is long, and others may use the machine."""
    began = time.process_time()
    step()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", default="100000,1000000")
    parser.add_argument("--measure", metavar="FOLDER", help="used by the program itself")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure)))
        return
    columns = (
        *("listing, CPU s", "all claimed, CPU s", "merged, CPU s", "look that finds ten, CPU s"),
        *("their job, s", "beside the listing, s", "peak, MiB"),
    )
    print(f"| files | {' | '.join(columns)} |")
    print(f"|---{'|---' * len(columns)}|")
    for files in map(int, options.files.split(",")):
        with tempfile.TemporaryDirectory() as base:
            fill(f"{base}/in", files)
            command = [sys.executable, os.path.abspath(__file__), "--measure", base]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        names = ("listing", "claimed", "merged", "look", "job", "beside", "peak")
        print(f"| {files:,} | " + " | ".join(f"{found[name]:.1f}" for name in names) + " |", flush=True)


if __name__ == "__main__":
    main()
