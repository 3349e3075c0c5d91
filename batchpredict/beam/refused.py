"""Where a refused record goes.

Beam's `RunInference(...).with_exception_handling()` wraps its DoFn in one that catches what a handler raises, and
puts the whole batch among the dead letters (https://github.com/apache/beam/issues/23835). A handler can do better:
what it gives as a `TaggedOutput` goes to the output of that name, so a record can be sent there while its batch
goes on. But without the wrapper nobody reads that output, and Beam drops in silence what is sent there; and a
handler is not told which of the two it is. So the calls that led here are asked, once a batch that has a refused
record, and only where all of them down to the wrapper are Beam's own is a record sent.
"""

from __future__ import annotations

import enum
import sys
import traceback
from types import FrameType
from typing import Any

from apache_beam.ml.inference.base import KeyedModelHandler, MaybeKeyedModelHandler
from apache_beam.pvalue import TaggedOutput

from batchpredict.errors import RecordRefused

# As `ParDo.with_exception_handling` names its output of dead letters.
_DEAD_LETTERS = "bad"

_INFERENCE = "apache_beam.ml.inference.base"
_TRANSFORMS = "apache_beam.transforms.core"
# What calls the DoFn of RunInference in the thread or process in which the wrapper has it run.
_WRAPPERS = frozenset(("exception_handling_wrapper_do_fn_custom_process", "wrapped_process", "_remote_process"))


class Way(enum.Enum):
    """What a handler does with a refused record."""

    RAISE = "the call fails, and with it what the runner retries"
    DEAD_LETTER = "the record is sent to the output of dead letters"
    RESULT = "its result is the error: a handler of Beam's pairs results with keys and would not let it pass"


def way() -> Way:
    """The way for a refused record of the handler whose `run_inference` calls this."""
    found = Way.DEAD_LETTER
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == _INFERENCE:
        if isinstance(frame.f_locals.get("self"), KeyedModelHandler | MaybeKeyedModelHandler):
            found = Way.RESULT
        if frame.f_code.co_name == "process":
            caller = frame.f_back
            wrapped = (
                caller is not None
                and caller.f_globals.get("__name__") == _TRANSFORMS
                and caller.f_code.co_name in _WRAPPERS
            )
            return found if wrapped else Way.RAISE
        frame = frame.f_back
    return Way.RAISE


def dead_letter(element: Any, reason: RecordRefused) -> TaggedOutput:
    """A record as Beam's dead letters are, a batch and its error: a batch of one."""
    told = (type(reason), repr(reason), traceback.format_exception(reason))
    return TaggedOutput(_DEAD_LETTERS, ([element], told))


def failure(refused: dict[int, RecordRefused], count: int) -> RecordRefused:
    """What a call raises that cannot set a record aside: the first refusal, and how many there are."""
    row = min(refused)
    rest = f", {len(refused)} of which are refused" if len(refused) > 1 else ""
    return RecordRefused(
        refused[row].code,
        f"{refused[row].message} (record {row + 1} of a batch of {count}{rest}; "
        "RunInference(...).with_exception_handling() sets such records aside)",
    )
