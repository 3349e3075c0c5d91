"""Every combination of tier, types and counts, against the rules of the specification written once more."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

TIERS = ("BASIC", "STANDARD_1", "PREMIUM_1", "BASIC_GPU", "BASIC_TPU", "CUSTOM")
ROLES = {"worker": "worker", "parameterServer": "parameter_server", "evaluator": "evaluator"}

Faults = Callable[..., list[tuple[str, str]]]


def combinations() -> Iterator[dict[str, Any]]:
    """Tier, master type or none, and for each other role: type or none; no count, 0 or 2."""
    of_role = list(itertools.product((None, "standard"), (None, 0, 2)))
    for tier, master, roles in itertools.product(
        TIERS, (None, "standard"), itertools.product(of_role, repeat=len(ROLES))
    ):
        fields: dict[str, Any] = {"scaleTier": tier, "masterType": master}
        for role, (kind, count) in zip(ROLES, roles, strict=True):
            fields |= {f"{role}Type": kind, f"{role}Count": count}
        yield {name: value for name, value in fields.items() if value is not None}


def expected(fields: dict[str, Any]) -> set[str]:
    """The fields that are wrong. A count of 0 is one that is not given."""
    tier = fields["scaleTier"]
    given = {"master_type"} if "masterType" in fields else set()
    for role, name in ROLES.items():
        given |= {f"{name}_type"} if f"{role}Type" in fields else set()
        given |= {f"{name}_count"} if fields.get(f"{role}Count") else set()
    if tier != "CUSTOM":
        return given or ({"scale_tier"} if tier == "BASIC_TPU" else set())
    missing = set() if "master_type" in given else {"master_type"}
    return missing | {f"{name}_type" for name in ROLES.values() if f"{name}_count" in given} - given


def test_what_is_wrong_is_named_by_its_field_and_nothing_else_is(faults: Faults) -> None:
    all_of_them = list(combinations())
    assert len(all_of_them) == 6 * 2 * 6**3
    wrong = []
    for fields in all_of_them:
        found = faults(**fields)
        if {field for field, _ in found} != expected(fields) or len(found) != len(set(found)):
            wrong.append((fields, found))
    assert wrong == []
