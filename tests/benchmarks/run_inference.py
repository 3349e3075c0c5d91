"""How fast `RunInference` is with our handler, against DoFns that users write, on one worker.

    python tests/benchmarks/run_inference.py [--batch 64] [--repeats 3] [--forms rows,dicts,examples] [--scale 1]

Each figure is the slope between a small run and a large one, which leaves the start out; the ways take turns, so
that a slow minute of the machine meets all of them. The promise is for the DoFn that calls the signature for each
element; the one behind `BatchElements` is for information. On a busy machine only the processor's time says much.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from measure import ROOT, median, run
from report import Row, Table, Target, machine, speed

MODEL = os.path.join(ROOT, "testdata", "models", "examples16")

PROMISED = Target(3, at_least=True)

# Records of a small run and of a large one, by how fast the way is.
_SIZES = {"ours": (20_000, 620_000), "batch": (20_000, 420_000), "record": (1_000, 21_000)}
_NAMES = {"batch": "a DoFn behind BatchElements", "record": "a DoFn that takes an element at a time"}


@dataclass(frozen=True)
class Speed:
    """Records per second, and microseconds of the processor for a record."""

    rate: float
    cpu: float


def measured(form: str, batch: int, repeats: int, scale: float) -> dict[str, Speed]:
    """The speed of each way."""
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    sizes = {way: [int(size * scale) for size in both] for way, both in _SIZES.items()}
    for _ in range(repeats):
        for way, both in sizes.items():
            for records in both:
                order = {"way": way, "model": MODEL, "form": form, "batch": batch, "records": records}
                found = run("run_inference_ways", order)
                times.setdefault((way, records), []).append((found.seconds, found.said["cpu"]))
    speeds = {}
    for way, (small, large) in sizes.items():
        seconds, cpu = (
            median([one[at] for one in times[way, large]]) - median([one[at] for one in times[way, small]])
            for at in (0, 1)
        )
        speeds[way] = Speed((large - small) / seconds, cpu / (large - small) * 1e6)
    return speeds


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
        load = os.getloadavg()[0]
        speeds = measured(form, options.batch, options.repeats, options.scale)
        ours = speeds["ours"]
        for way, name in _NAMES.items():
            target = PROMISED if way == "record" else None
            compared = f"{name}: {speed(speeds[way].rate)}"
            table.rows.append(Row(form, speed(ours.rate), compared, ours.rate / speeds[way].rate, target))
        costs = ", ".join(f"{way} {found.cpu:.1f}" for way, found in speeds.items())
        ended = os.getloadavg()[0]
        table.notes.append(f"{form}: microseconds of processor a record: {costs}; load {load:.1f} to {ended:.1f}")
    print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
