"""docs/training.md says what is so. Its examples are run by tests/docs."""

from __future__ import annotations

import os
import re

import support

from batchpredict.cli.parser import build
from batchpredict.job import Job, ScaleTier, TrainingInput
from batchpredict.training.cluster import Cluster, Role
from batchpredict.training.hosting import _AWAY, _HERE
from batchpredict.training.replica import STARTUP_SECONDS
from batchpredict.training.tuning.study import _HOPELESS

NUMBERS = {1: "one", 3: "three", 5: "five", 10: "ten"}


def page() -> str:
    with open(os.path.join(support.ROOT, "docs", "training.md"), encoding="utf-8") as file:
        return " ".join(file.read().split())


def rows(head: str) -> list[list[str]]:
    """The rows of the table with this head."""
    with open(os.path.join(support.ROOT, "docs", "training.md"), encoding="utf-8") as file:
        text = file.read()
    body = text[text.index(head) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def test_every_flag_of_the_job_is_on_the_page_and_no_other():
    _, commands = build()
    flags = {flag for flag in commands["train"].flags() if flag.startswith("--")}
    shown = {flag for row in rows("| flag | field of") for flag in re.findall(r"`(--[\w-]+)`", " ".join(row))}
    assert shown <= flags
    assert {flag for flag in flags - {"--help"} if not re.search(rf"`{flag}[` ]", page())} == set()


def test_the_fields_that_flags_stand_for_are_those_of_the_job():
    named = {name for row in rows("| flag | field of") for name in re.findall(r"`([a-z]\w*)`", row[1])}
    wire = {re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in TrainingInput.model_fields}
    assert named <= wire


def test_the_tiers_have_the_replicas_that_the_page_says():
    words = {"master": Role.MASTER, "worker": Role.WORKER, "parameter server": Role.PS}
    shown = {}
    for tier, replicas in rows("| tier | replicas |"):
        found = re.findall(r"(\d+) (master|worker|parameter server)", replicas)
        shown[tier.strip("`")] = {words[word]: int(count) for count, word in found}
    for tier in (ScaleTier.BASIC, ScaleTier.STANDARD_1, ScaleTier.PREMIUM_1, ScaleTier.BASIC_GPU):
        source = {"scaleTier": tier.value, "region": "r", "pythonModule": "m", "packageUris": ["p.whl"]}
        parsed = Job.submitted({"jobId": "j", "trainingInput": source}).training_input
        assert parsed is not None
        counts: dict[Role, int] = {}
        for replica in Cluster.of(parsed).replicas:
            counts[replica.role] = counts.get(replica.role, 0) + 1
        assert shown[tier.value] == counts


def test_the_times_and_numbers_are_those_that_are_kept_to():
    text = page()
    for said in (
        f"workers beside them after {_HERE.served_grace:g} seconds, and other workers get {_HERE.worker_grace:g}",
        f"is started again at its place, {NUMBERS[_HERE.in_place]} times",
        f"all replicas are started again, {NUMBERS[_HERE.generations]} times",
        f"A program that fails within {NUMBERS[int(_HERE.early)]} seconds of its first start",
        f"A machine that says nothing for {_HERE.lease:g} seconds counts as lost",
        f"fails after {NUMBERS[int(_AWAY.deadline / 60)]} minutes on a cluster",
        f"and {NUMBERS[int(_HERE.deadline / 60)]} minute here",
        f"is not installed within {NUMBERS[int(_HERE.prepare / 60)]} minutes",
        f"in its first {NUMBERS[int(STARTUP_SECONDS / 60)]} minutes prints no line",
        f"ends the job after {_HERE.lease:g} seconds",
        f"away for longer than {_HERE.lease:g} seconds ends all replicas",
        f"first {NUMBERS[_HOPELESS]} trials all fail is given up",
    ):
        assert said in text, said
