"""Measures what the project promises and says whether it holds.

    python tests/benchmarks/run.py [--records 2000000] [--only start,memory] [--json out.json]

Prints a Markdown table per promise. Every measured program is a process of its own. The steady state is the slope
between a small and a large job of the same kind, which leaves the start out. At full size it takes about twenty
minutes on two cores, and means something only on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable

import promises
import remote
import scale
import throughput
from bench import Bench
from measure import BenchmarkFailed, chosen
from report import Table, machine

from batchpredict.workers import cores

SECTIONS: dict[str, Callable[[Bench], Table]] = {
    "bare": throughput.bare,
    "beam": throughput.row_by_row,
    "scaling": throughput.scaling,
    "models": throughput.models,
    "start": promises.start,
    "memory": promises.memory,
    "files": promises.files,
    "large": promises.large,
    "scale": scale.scale,
    "remote": remote.remote,
    "resume": promises.resume,
    "processes": promises.processes,
}


def main() -> int:
    """Returns 1 if a section failed; a promise that is missed is a finding, not a failure."""
    options = _options()
    bench = Bench(options.data, options.records, options.repeats, _cores())
    tables, failed = [], False
    print(f"Machine: {machine(bench.cores)}\n", flush=True)
    for name in options.only:
        bench.say(f"== {name}")
        try:
            table = SECTIONS[name](bench)
        except BenchmarkFailed as error:
            failed = True
            table = Table(f"{name}: could not be measured", notes=[str(error)])
        tables.append(table)
        print(table.markdown(), flush=True)
    bench.say("done")
    if options.json:
        document = {
            "machine": machine(bench.cores),
            "records": bench.records,
            "tables": [table.to_json() for table in tables],
        }
        with open(options.json, "w") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2_000_000, help="the size that all sizes derive from")
    parser.add_argument("--repeats", type=int, default=2, help="how often a steady state is measured")
    parser.add_argument("--only", type=chosen(SECTIONS, "section"), default=list(SECTIONS), help=",".join(SECTIONS))
    parser.add_argument(
        "--data",
        default=os.path.join(tempfile.gettempdir(), "batchpredict-bench"),
        help="folder in which inputs are kept; 2 GB at full size",
    )
    parser.add_argument("--json", help="file to write the tables to")
    return parser.parse_args()


def _cores() -> int:
    # Two workers are promised things; a single core shows how they share it.
    return max(cores(), 2)


if __name__ == "__main__":
    sys.exit(main())
