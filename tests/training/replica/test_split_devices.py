from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.training.cluster import Replica, Role
from batchpredict.training.replica import split_devices


@pytest.mark.parametrize(
    ("devices", "wanted", "alike", "expected"),
    [
        # Nobody asks: all share.
        ("01", {"master-0": 0}, True, {"master-0": "01"}),
        ("0123", {"master-0": 0, "worker-0": 0, "ps-0": 0}, False, {"master-0": "01", "worker-0": "23"}),
        ("012", {"master-0": 0, "worker-0": 0}, True, {"master-0": "0", "worker-0": "1"}),
        ("012", {"master-0": 0, "worker-0": 0}, False, {"master-0": "01", "worker-0": "2"}),
        ("0", {"master-0": 0, "worker-0": 0}, True, {}),
        ("0", {"master-0": 0, "worker-0": 0}, False, {"master-0": "0"}),
        # Who asks gets what it asks for, where there is enough.
        ("01234567", {"master-0": 1}, True, {"master-0": "0"}),
        ("01", {"master-0": 0, "worker-0": 1, "worker-1": 1}, False, {"worker-0": "0", "worker-1": "1"}),
        ("012", {"master-0": 2, "worker-0": 2}, False, {"master-0": "01", "worker-0": "2"}),
        # Parameter servers have none, evaluators what is left.
        ("01", {"ps-0": 1}, False, {}),
        (
            "012",
            {"master-0": 1, "worker-0": 1, "evaluator-0": 1},
            True,
            {"master-0": "0", "worker-0": "1", "evaluator-0": "2"},
        ),
        ("01", {"master-0": 0, "evaluator-0": 0}, True, {"master-0": "01"}),
        ("", {"master-0": 1}, True, {}),
    ],
)
def test_devices_of_a_host(devices: str, wanted: dict[str, int], alike: bool, expected: dict[str, str]) -> None:
    asked = {Replica.parse(name): count for name, count in wanted.items()}
    found = split_devices(list(devices), asked, alike=alike)
    assert set(found) == set(asked)
    assert {one.name: "".join(names) for one, names in found.items() if names} == expected


@given(
    st.integers(0, 9),
    st.dictionaries(st.builds(Replica, st.sampled_from(Role), st.integers(0, 3)), st.integers(0, 4)),
    st.booleans(),
)
def test_no_device_goes_to_two(devices: int, wanted: dict[Replica, int], alike: bool) -> None:
    names = [str(number) for number in range(devices)]
    given_ = [name for part in split_devices(names, wanted, alike=alike).values() for name in part]
    assert len(set(given_)) == len(given_)
    assert set(given_) <= set(names)
