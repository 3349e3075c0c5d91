"""What of a job is planned, committed, proven and published, in its output folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.ledger.access import read_lines, reading, spooling, writing
    from batchpredict.ledger.budget import Tally, check, check_early, parse_budget
    from batchpredict.ledger.chain import Redo
    from batchpredict.ledger.cleaning import find_leftovers, remove
    from batchpredict.ledger.finished import finished_output
    from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport
    from batchpredict.ledger.plan import (
        Plan,
        load_plan,
        make_plan,
        most_splits,
        read_page,
        refuse_own_output,
    )
    from batchpredict.ledger.progress import ManifestFeed, Snapshot, committed_tally
    from batchpredict.ledger.proof import Proof, prove
    from batchpredict.ledger.publish import PublishOrder, Settled, finish, publish_all, publish_page, settle
    from batchpredict.ledger.published import occupancy, refuse_others
    from batchpredict.ledger.spec import PredictionSpec
    from batchpredict.ledger.staging import FOLDER, Staging, worker_name

__all__ = [
    "FOLDER",
    "Manifest",
    "ManifestFeed",
    "PartFile",
    "Plan",
    "PredictionSpec",
    "Proof",
    "PublishOrder",
    "Redo",
    "SegmentReport",
    "Settled",
    "Snapshot",
    "Staging",
    "Tally",
    "check",
    "check_early",
    "committed_tally",
    "find_leftovers",
    "finish",
    "finished_output",
    "load_plan",
    "make_plan",
    "most_splits",
    "occupancy",
    "parse_budget",
    "prove",
    "publish_all",
    "publish_page",
    "read_lines",
    "read_page",
    "reading",
    "refuse_others",
    "refuse_own_output",
    "remove",
    "settle",
    "spooling",
    "worker_name",
    "writing",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "FOLDER": "staging",
            "Manifest": "manifest",
            "ManifestFeed": "progress",
            "PartFile": "manifest",
            "Plan": "plan",
            "PredictionSpec": "spec",
            "Proof": "proof",
            "PublishOrder": "publish",
            "Redo": "chain",
            "SegmentReport": "manifest",
            "Settled": "publish",
            "Snapshot": "progress",
            "Staging": "staging",
            "Tally": "budget",
            "check": "budget",
            "check_early": "budget",
            "committed_tally": "progress",
            "find_leftovers": "cleaning",
            "finish": "publish",
            "finished_output": "finished",
            "load_plan": "plan",
            "make_plan": "plan",
            "most_splits": "plan",
            "occupancy": "published",
            "parse_budget": "budget",
            "prove": "proof",
            "publish_all": "publish",
            "publish_page": "publish",
            "read_lines": "access",
            "read_page": "plan",
            "reading": "access",
            "refuse_others": "published",
            "refuse_own_output": "plan",
            "remove": "cleaning",
            "settle": "publish",
            "spooling": "access",
            "worker_name": "staging",
            "writing": "access",
        },
    )
