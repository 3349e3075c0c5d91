"""Beam's client of a runner, in a thread: it waits without a limit of time, and the main thread must not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from batchpredict.errors import JobCancelled

_log = logging.getLogger(__name__)

Launch: TypeAlias = "Callable[[Callable[[], None]], Any]"
"""Hands a pipeline over; see `Pipeline`."""


class LostSight(Exception):
    """Nobody can say how a pipeline goes on that a runner has taken; it may well go on."""


class Pipeline:
    """Hands a pipeline over and waits for its end, in a thread.

    That it has ended is kept in an event of its own: Python 3.11 holds a thread to be dead when a Ctrl-C comes
    while somebody joins it, and whoever cancels a job would then take it for ended.

    Args:
      launch: hands it over and gives Beam's PipelineResult. It is given a function to call at the last moment at
        which nothing has been handed over yet, which raises if nobody wants that any more.

    Attributes:
      handed_over_at: when the runner had taken it, on the monotonic clock; None before that.
      state: its last state, as Beam calls it.
      error: what `launch` or the runner said.
      lost: the connection broke; what became of the pipeline is not known.
    """

    def __init__(self, launch: Launch) -> None:
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._ended = threading.Event()
        self._launch = launch
        self._given_up = threading.Event()
        self._result: Any = None
        self.handed_over_at: float | None = None
        self.state = ""
        self.error: BaseException | None = None
        self.lost = False

    @property
    def handed_over(self) -> bool:
        return self.handed_over_at is not None

    @property
    def text(self) -> str:
        """What the runner said of its error."""
        details = getattr(self.error, "details", None)
        said = details() if callable(details) else None
        return str(said or self.error)

    def give_up(self) -> None:
        """Do not hand it over, if that has not been done yet."""
        self._given_up.set()

    def cancel(self, seconds: float) -> None:
        """Tell the runner to cancel it, and wait for its end for a while; no longer, whatever happens."""
        end = time.monotonic() + seconds
        result = self._result
        if result is not None:
            # The call may hang as long as the server does.
            call = threading.Thread(target=_cancel, args=(result,), daemon=True)
            call.start()
            call.join(seconds)
        self.wait(max(end - time.monotonic(), 0))

    def start(self) -> None:
        """Begin to hand it over."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for its end, for a while."""
        self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            self._hand_over_and_wait()
        finally:
            self._ended.set()

    def _hand_over_and_wait(self) -> None:
        try:
            result = self._launch(self._last_moment)
        except BaseException as error:
            _log.debug("the pipeline is not taken", exc_info=True)
            self.error = error
            return
        self._result = result
        self.handed_over_at = time.monotonic()
        try:
            self.state = str(result.wait_until_finish())
        except BaseException as error:
            _log.debug("the pipeline failed", exc_info=True)
            self.error = error
            self.state, self.lost = _after(result, error)

    def _last_moment(self) -> None:
        if self._given_up.is_set():
            raise JobCancelled("The job was cancelled before it was handed over.")


def _cancel(result: Any) -> None:
    try:
        result.cancel()
    except Exception:
        # Whoever asked for it looks whether the pipeline ends.
        return


def _after(result: Any, error: BaseException) -> tuple[str, bool]:
    """The last state that is known of a pipeline, and whether its runner was lost from sight in it."""
    import grpc
    from apache_beam.runners.runner import PipelineState

    # `state` would ask the server again.
    state = getattr(result, "_state", None)
    lost = isinstance(error, (grpc.RpcError, LostSight)) or (
        isinstance(state, str) and not PipelineState.is_terminal(state)
    )
    return str(state), lost
