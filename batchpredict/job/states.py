"""The states of a job and the ways from one to the next.

    (new) ──> QUEUED ──> PREPARING ──> RUNNING ──> SUCCEEDED
                │            │            │
                │            └─> CANCELLING <──┘ ──> CANCELLED
                └─> CANCELLED

Beside the picture:

* FAILED follows every state that is not terminal.
* PREPARING and RUNNING go back to QUEUED when the process that ran the job is gone and the job is to be taken
  up again; committed splits stay, so little is done twice. CANCELLING does not go back: a job that somebody
  stopped and whose process is gone is CANCELLED.
* CANCELLING may become SUCCEEDED: the request can arrive when the results are already published and
  ``_SUCCESS`` is written. The state then says what is true of the output.
* A state does not follow itself. Whoever repeats a request (a second cancel) looks at the state first.
* STATE_UNSPECIFIED is the state of a job nobody has stored yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from batchpredict.errors import IllegalTransition
from batchpredict.job.wire import WireEnum


class State(WireEnum):
    """The detailed state of a job (projects-jobs.txt, State)."""

    STATE_UNSPECIFIED = "STATE_UNSPECIFIED"
    QUEUED = "QUEUED"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
"""States that nothing follows. What clients poll for."""

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.STATE_UNSPECIFIED: frozenset({State.QUEUED, State.FAILED}),
    State.QUEUED: frozenset({State.PREPARING, State.CANCELLING, State.CANCELLED, State.FAILED}),
    State.PREPARING: frozenset({State.RUNNING, State.QUEUED, State.CANCELLING, State.FAILED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.QUEUED, State.CANCELLING, State.FAILED}),
    State.CANCELLING: frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def advance(current: State, to: State) -> State:
    """`to`, if it may follow `current`.

    Raises:
        IllegalTransition: it may not.
    """
    if to not in TRANSITIONS[current]:
        after = ", ".join(state.value for state in State if state in TRANSITIONS[current])
        raise IllegalTransition(
            f"A job that is {current} cannot become {to}; "
            + (f"it can become {after}." if after else f"{current} is final.")
        )
    return to
