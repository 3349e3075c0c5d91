"""IAM policies in a store."""

from __future__ import annotations

import pytest
from service.store_support import new_model

from batchpredict.service.store import Stale

JOB = "projects/p/jobs/j"
POLICY = {"version": 1, "bindings": [{"role": "roles/ml.viewer", "members": ["user:ann@x.org"]}]}


def test_a_policy_that_nobody_set_is_empty_and_has_the_etag_of_such(store):
    assert store.policy(JOB) == {"etag": "ACAB"}


def test_a_policy_comes_back_with_an_etag_of_its_own(store):
    stored = store.set_policy(JOB, {**POLICY, "etag": "whatever"}, None)
    assert {key: value for key, value in stored.items() if key != "etag"} == POLICY
    assert store.policy(JOB) == stored
    assert stored["etag"] not in ("whatever", "ACAB")
    assert store.policy("projects/p") == {"etag": "ACAB"}


def test_who_read_the_latest_may_write_and_who_did_not_may_not(store):
    first = store.set_policy(JOB, POLICY, "ACAB")
    second = store.set_policy(JOB, {}, first["etag"])
    assert second["etag"] != first["etag"]
    for old in ("ACAB", first["etag"]):
        with pytest.raises(Stale, match=f"policy of {JOB}"):
            store.set_policy(JOB, POLICY, old)
    assert store.policy(JOB) == second


def test_a_stale_first_write_sets_nothing(store):
    with pytest.raises(Stale):
        store.set_policy(JOB, POLICY, "other")
    assert store.policy(JOB) == {"etag": "ACAB"}


def test_a_model_of_a_name_that_was_used_before_has_no_policy(store):
    store.create_model(new_model("m"))
    store.set_policy("projects/p/models/m", POLICY, None)
    store.delete_model("p", "m")
    store.create_model(new_model("m"))
    assert store.policy("projects/p/models/m") == {"etag": "ACAB"}
