"""One work from its submission to its end: what its execution raises on the way, and that it is closed."""

from __future__ import annotations

from typing import Any

import pytest
from recorder import Recorder

from batchpredict.errors import JobFailed, RunnerFailed
from batchpredict.runners import run

NO_WORK: Any = None


def loose(double: Any) -> Any:
    """A double, for the type checker: it stands for a runner of any work."""
    return double


class Execution:
    """One that has ended, and is its own runner. What it is given, it raises at the method of that name."""

    name = "Here"

    def __init__(self, **errors: BaseException) -> None:
        self._errors = errors
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self._errors:
            raise self._errors[name]

    def check(self) -> None:
        pass

    def submit(self, work: object, observer: object) -> Execution:
        self._call("submit")
        return self

    def ended(self, seconds: float) -> bool:
        self._call("ended")
        return True

    def snapshot(self, *, at_once: bool = False) -> None:
        self._call("snapshot")

    def cancel(self) -> str:
        self._call("cancel")
        return "it is cancelled"

    def output(self) -> str:
        self._call("output")
        return "done"

    def close(self) -> None:
        self._call("close")


def test_what_it_came_to_is_given_and_all_is_closed():
    execution = Execution()
    assert run(loose(execution), NO_WORK) == "done"
    assert execution.calls == ["submit", "ended", "output", "close"]


@pytest.mark.parametrize("where", ["submit", "ended", "output", "close"])
def test_what_a_store_refuses_is_one_sentence(where):
    execution = Execution(**{where: ConnectionResetError(104, "reset\nby peer")})
    with pytest.raises(RunnerFailed) as failure:
        run(loose(execution), NO_WORK)
    assert str(failure.value) == (
        "What became of the job cannot be told: [Errno 104] reset by peer. What is committed is kept; run the same "
        "command again to go on from there, or to be told that it is done."
    )
    assert where == "submit" or execution.calls[-1] == "close"


def test_a_failure_of_the_job_stays_what_it_is():
    with pytest.raises(JobFailed, match=r"^no$") as failure:
        run(loose(Execution(output=JobFailed("no"))), NO_WORK)
    assert type(failure.value) is JobFailed


def test_what_comes_from_outside_cancels_and_comes_out():
    observer, execution = Recorder(), Execution(ended=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(loose(execution), NO_WORK, observer)
    assert execution.calls == ["submit", "ended", "cancel", "snapshot", "close"]
    assert observer.messages == ["it is cancelled"]
