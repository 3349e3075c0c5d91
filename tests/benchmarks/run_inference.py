"""How fast `RunInference` is with our handler, against DoFns that users write, on one worker.

    python tests/benchmarks/run_inference.py [--batch 64] [--repeats 3] [--forms rows,dicts,examples] [--scale 1]

Each figure is the slope between a small run and a large one, which leaves the start out. The promise is for the
DoFn that calls the signature for each element; the one behind `BatchElements` is for information.
"""

from __future__ import annotations

import argparse
import os

from measure import ROOT, rate, run
from report import Row, Table, Target, machine, speed

MODEL = os.path.join(ROOT, "testdata", "models", "examples16")

PROMISED = Target(3, at_least=True)

# Records of a small run and of a large one, by how fast the way is.
_SIZES = {"ours": (50_000, 450_000), "batch": (50_000, 350_000), "record": (2_000, 12_000)}
_NAMES = {"batch": "a DoFn behind BatchElements", "record": "a DoFn that takes an element at a time"}


def measured(way: str, form: str, batch: int, repeats: int, scale: float) -> float:
    small, large = (int(size * scale) for size in _SIZES[way])

    def seconds_of(records: int) -> float:
        order = {"way": way, "model": MODEL, "form": form, "batch": batch, "records": records}
        return run("run_inference_ways", order).seconds

    return rate(seconds_of, small, large, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--forms", default="rows,dicts,examples")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes of the runs")
    options = parser.parse_args()
    print(machine(os.cpu_count() or 1), "\n", flush=True)
    table = Table(f"RunInference with our handler, batches of {options.batch}")
    for form in options.forms.split(","):
        rates = {way: measured(way, form, options.batch, options.repeats, options.scale) for way in _SIZES}
        for way, name in _NAMES.items():
            ratio = rates["ours"] / rates[way]
            target = PROMISED if way == "record" else None
            table.rows.append(Row(form, speed(rates["ours"]), f"{name}: {speed(rates[way])}", ratio, target))
    table.notes.append(f"load when it ended: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
