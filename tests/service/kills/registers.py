"""Whether the writes with etags of one register are linearizable: a pure function over what its clients saw.

A register is what one etag guards: the labels of a job, the policy of a resource. Every write says which etag it
follows and brings a value that no other write brings, so a value tells which write made it, and the writes that
took effect are a chain: each follows the write that produced the etag that it consumed. The history is linearizable
if there is one such chain from the first value, and if its writes can be given moments, in the chain's order and
each within its call, such that every read and every refusal fits. That is decided exactly and in linear time, other
than for registers in general (Gibbons and Korach, "Testing Shared Memories", 1997: NP-complete).

    etag      is shown with one value only, and a value under one etag only
    source    each value but the first comes from a write that was acknowledged or whose outcome is unknown
    consumed  no two writes that took effect consumed the same etag
    chain     each follows the write that produced its etag, back to the first value: so the value at the end is
              that of the last acknowledged write, or of an unknown one that followed it
    time      no read is older than a write that had ended, or newer than a write that had not begun
    refused   a write was refused only if its etag was not the current one any more
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How a write ended, as its client saw it. UNKNOWN: no answer, or that of a server that could not say."""

    OK = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Read:
    """The register had this etag and value at some moment between `began` and `ended` (seconds)."""

    client: str
    began: float
    ended: float
    etag: str
    value: str


@dataclass(frozen=True)
class Write:
    """Replace what has the etag `used` by `value`.

    Attributes:
      began, ended: seconds; an unknown write may take effect after `ended`.
      etag: that the value got, as the answer said; "" unless acknowledged.
    """

    client: str
    began: float
    ended: float
    used: str
    value: str
    outcome: Outcome
    etag: str = ""


Operation = Read | Write


class NotLinearizable(AssertionError):
    """No order of the operations explains what their clients saw."""


def check_register(operations: Iterable[Operation]) -> list[Write]:
    """The writes that took effect, in their order.

    Args:
      operations: in any order. A client has read the etag that it uses before it begins to write. If an unknown
        write took effect at the very end, only a read after it can tell.

    Raises:
      NotLinearizable: for the first of the properties above that does not hold.
    """
    operations = list(operations)
    values = _values(operations)
    makers = _makers([each for each in operations if isinstance(each, Write)], values)
    etags = _chain(makers, values)
    _check_moments(operations, etags, makers)
    return [makers[etag] for etag in etags[1:]]


def _values(operations: Sequence[Operation]) -> dict[str, str]:
    """The value of each etag that was shown."""
    values: dict[str, str] = {}
    etags: dict[str, str] = {}
    for each in operations:
        if isinstance(each, Write) and each.outcome is not Outcome.OK:
            continue
        if values.setdefault(each.etag, each.value) != each.value:
            raise NotLinearizable(f"an etag has two values, {values[each.etag]} too: {each}")
        if etags.setdefault(each.value, each.etag) != each.etag:
            raise NotLinearizable(f"a value has two etags, {etags[each.value]} too: {each}")
    return values


def _makers(writes: Sequence[Write], values: Mapping[str, str]) -> dict[str, Write]:
    """The write that produced each etag; the first etag has none."""
    by_value = {write.value: write for write in writes}
    assert len(by_value) == len(writes), "two writes bring the same value, so nobody can tell them apart"
    makers = {etag: by_value[value] for etag, value in values.items() if value in by_value}
    unmade = [f"{etag} ({value})" for etag, value in values.items() if value not in by_value]
    if len(unmade) > 1:
        raise NotLinearizable(f"values out of nothing: all but one of {unmade}")
    for etag, write in makers.items():
        if write.outcome is Outcome.REFUSED:
            raise NotLinearizable(f"a refused write took effect, as {etag}: {write}")
    return makers


def _chain(makers: Mapping[str, Write], values: Mapping[str, str]) -> list[str]:
    """Every etag from the first one on, each followed by the one whose write consumed it."""
    following: dict[str, str] = {}
    for etag, write in makers.items():
        if write.used not in values:
            raise NotLinearizable(f"a write took effect that followed an etag which never was: {write}")
        if write.used in following:
            raise NotLinearizable(f"two writes consumed one etag: {makers[following[write.used]]} and {write}")
        following[write.used] = etag
    chain = [etag for etag in values if etag not in makers]
    while chain and chain[-1] in following:
        chain.append(following[chain[-1]])
    if len(chain) != len(values):
        raise NotLinearizable(f"writes that follow only each other: {set(values) - set(chain)}")
    return chain


def _check_moments(operations: Sequence[Operation], etags: Sequence[str], makers: Mapping[str, Write]) -> None:
    """Every write can be given a moment: as early as it can be is best for all that come after."""
    place = {etag: number for number, etag in enumerate(etags)}
    # Of the write that produced each etag: when it can have taken effect, and what says so.
    earliest = [-math.inf] * (len(etags) + 1)
    latest: list[tuple[float, Operation | None]] = [(math.inf, None)] * (len(etags) + 1)

    def by(number: int, moment: float, why: Operation) -> None:
        if moment < latest[number][0]:
            latest[number] = moment, why

    for etag, write in makers.items():
        earliest[place[etag]] = write.began
    for each in operations:
        if isinstance(each, Read):
            by(place[each.etag], each.ended, each)
            earliest[place[each.etag] + 1] = max(earliest[place[each.etag] + 1], each.began)
        elif each.outcome is Outcome.OK:
            by(place[each.etag], each.ended, each)
        elif each.outcome is Outcome.REFUSED and each.used in place:
            if place[each.used] == len(etags) - 1:
                raise NotLinearizable(f"a write was refused although its etag was the current one: {each}")
            by(place[each.used] + 1, each.ended, each)
    moments = itertools.accumulate(earliest[1 : len(etags)], max)
    for number, moment in enumerate(moments, start=1):
        bound, why = latest[number]
        if moment > bound:
            write = makers[etags[number]]
            raise NotLinearizable(f"{write} took effect at {moment} or later, and by {bound} it had: {why}")
