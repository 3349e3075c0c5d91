"""Where new results go: counted from what failed, they stand as if all records had been scored in one go."""

from __future__ import annotations

import io
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.formats.interleaving import interleave
from batchpredict.rescoring.arithmetic import kept_before

# Stretches of a split: of how many records, whether they failed at first, and which are well the second time.
STRETCHES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 5), st.just(False), st.just(frozenset())),
        st.tuples(st.integers(1, 4), st.just(True), st.frozensets(st.integers(0, 3))),
    ),
    max_size=30,
)


@given(STRETCHES, st.integers(1, 7))
def test_results_of_two_jobs_are_those_of_one(stretches, block):
    """A stretch that failed is one error of so many records, each of which may be well in the end."""
    ends = list(accumulate(count for count, _, _ in stretches))
    starts = [end - count for end, (count, _, _) in zip(ends, stretches, strict=True)]
    old: list[int] = []
    new: list[int] = []
    whole: list[int] = []
    places: list[int] = []
    errors: list[tuple[int, int]] = []
    for start, (count, failed, well) in zip(starts, stretches, strict=True):
        if not failed:
            old += range(start, start + count)
            whole += range(start, start + count)
        else:
            errors.append((start, count))
            whole += [start + at for at in range(count) if at in well]
    # The errors come by the block.
    before: list[int] = []
    passed = 0
    for at in range(0, len(errors), block):
        some = np.array(errors[at : at + block], np.int64)
        before += kept_before(some[:, 0], some[:, 1], passed).tolist()
        passed += int(some[:, 1].sum())
    for (start, count), place in zip(errors, before, strict=True):
        well = next(one for begin, (_, _, one) in zip(starts, stretches, strict=True) if begin == start)
        scored = [start + at for at in range(count) if at in well]
        new += scored
        places += [place] * len(scored)
    file = io.BytesIO()
    rows = interleave(iter([b"%d\n" % one for one in old]), [b"%d\n" % one for one in new], places, file)
    assert rows == len(old)
    assert [int(line) for line in file.getvalue().splitlines()] == whole
    assert all(0 <= one <= len(old) for one in before)
    assert before == sorted(before)
