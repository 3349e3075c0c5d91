"""What of a job is planned, committed, proven and published, in its output folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchpredict._lazy import lazily

if TYPE_CHECKING:
    from batchpredict.ledger.access import each, read_lines, reading, spooling, writing
    from batchpredict.ledger.budget import Tally, check, check_early, parse_budget
    from batchpredict.ledger.chain import Chain, End, Link, Redo
    from batchpredict.ledger.cleaning import find_leftovers, remove
    from batchpredict.ledger.finished import finished_output
    from batchpredict.ledger.manifest import Manifest, PartFile, SegmentReport
    from batchpredict.ledger.plan import (
        Draft,
        Plan,
        begin_fingerprint,
        draft,
        load_plan,
        make_plan,
        named_inputs,
        read_page,
        refuse_own_output,
        refuse_unknown_places,
        spool,
    )
    from batchpredict.ledger.progress import ManifestFeed, Snapshot, committed_tally
    from batchpredict.ledger.proof import Proof, prove, proven_parts
    from batchpredict.ledger.publish import PublishOrder, Settled, finish, publish_all, publish_page, settle
    from batchpredict.ledger.published import (
        CSV_HEADER,
        errors_name,
        occupancy,
        owner_of,
        refuse_others,
        results_name,
    )
    from batchpredict.ledger.selected import read_positions
    from batchpredict.ledger.spec import PredictionSpec
    from batchpredict.ledger.split_size import most_splits
    from batchpredict.ledger.staging import FOLDER, Staging, worker_name
    from batchpredict.ledger.stored_spec import load_spec, store_spec

__all__ = [
    "CSV_HEADER",
    "FOLDER",
    "Chain",
    "Draft",
    "End",
    "Link",
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
    "begin_fingerprint",
    "check",
    "check_early",
    "committed_tally",
    "draft",
    "each",
    "errors_name",
    "find_leftovers",
    "finish",
    "finished_output",
    "load_plan",
    "load_spec",
    "make_plan",
    "most_splits",
    "named_inputs",
    "occupancy",
    "owner_of",
    "parse_budget",
    "prove",
    "proven_parts",
    "publish_all",
    "publish_page",
    "read_lines",
    "read_page",
    "read_positions",
    "reading",
    "refuse_others",
    "refuse_own_output",
    "refuse_unknown_places",
    "remove",
    "results_name",
    "settle",
    "spool",
    "spooling",
    "store_spec",
    "worker_name",
    "writing",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "CSV_HEADER": "published",
            "FOLDER": "staging",
            "Chain": "chain",
            "Draft": "plan",
            "End": "chain",
            "Link": "chain",
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
            "begin_fingerprint": "plan",
            "check": "budget",
            "check_early": "budget",
            "committed_tally": "progress",
            "draft": "plan",
            "each": "access",
            "errors_name": "published",
            "find_leftovers": "cleaning",
            "finish": "publish",
            "finished_output": "finished",
            "load_plan": "plan",
            "load_spec": "stored_spec",
            "make_plan": "plan",
            "most_splits": "split_size",
            "named_inputs": "plan",
            "occupancy": "published",
            "owner_of": "published",
            "parse_budget": "budget",
            "prove": "proof",
            "proven_parts": "proof",
            "publish_all": "publish",
            "publish_page": "publish",
            "read_lines": "access",
            "read_page": "plan",
            "reading": "access",
            "read_positions": "selected",
            "refuse_others": "published",
            "refuse_own_output": "plan",
            "refuse_unknown_places": "plan",
            "remove": "cleaning",
            "results_name": "published",
            "settle": "publish",
            "spool": "plan",
            "spooling": "access",
            "store_spec": "stored_spec",
            "worker_name": "staging",
            "writing": "access",
        },
    )
