"""What a watch says of what happens, in words."""

from __future__ import annotations

from collections.abc import Sequence

from batchpredict.counted import counted
from batchpredict.epochs.interface import WatchObserver
from batchpredict.epochs.listing import Look
from batchpredict.epochs.revision import Kept
from batchpredict.epochs.state import Epoch, FileList


class Telling:
    """Tells an observer.

    Args:
      observer: is told.
    """

    def __init__(self, observer: WatchObserver) -> None:
        self._observer = observer
        self._said: set[str] = set()

    def once(self, text: str) -> None:
        """A warning that is not repeated, until `forget`."""
        if text not in self._said:
            self._said.add(text)
            self._observer.warning(text)

    def forget(self) -> None:
        """What was told once is worth telling again."""
        self._said.clear()

    def differs(self, fields: Sequence[str]) -> None:
        """Fields of the jobs are not what they were for the last epoch."""
        verb = "differs" if len(fields) == 1 else "differ"
        self._observer.message(
            f"{', '.join(fields)} {verb} from the last epoch in this output folder; epochs that are begun from now "
            "on have what is said now"
        )

    def looked(self, found: Look, patterns: Sequence[str], *, leaves: bool) -> None:
        """Files were looked for. `leaves`: those that may still be written are not waited for."""
        if found.empty:
            self.once(f"no file yet matches {', '.join(patterns)}")
        for count, what in ((found.rescored, "scored again"), (found.ignored, "left as they were scored")):
            if count:
                self._observer.warning(f"{counted(count, 'changed file')}, {what}: {_named(count, found.names)}")
        if leaves and found.waiting:
            verb = "is" if found.waiting == 1 else "are"
            self._observer.warning(f"{counted(found.waiting, 'file')} may still be written, and {verb} left")

    def begun(self, number: int, files: FileList, model: str) -> None:
        """An epoch was begun."""
        self._observer.message(
            f"epoch {number}: {counted(files.files, 'file')}, {files.bytes:,} bytes, model {model}"
        )

    def failed(self, epoch: Epoch, reason: str) -> None:
        """A try of an epoch has failed; that is told once for each reason."""
        if reason != epoch.reason:
            self._observer.warning(f"epoch {epoch.number} has failed and is tried again: {reason}")

    def other_model(self, epoch: Epoch, model: str) -> None:
        """An epoch is tried with another model than before."""
        self._observer.message(f"epoch {epoch.number} is tried with {model}")

    def taken_up(self, epoch: Epoch) -> None:
        """An epoch that was set aside is tried again."""
        self._observer.message(f"epoch {epoch.number} is taken up again: {counted(epoch.list.files, 'file')}")

    def let_go(self, epoch: Epoch, left: Kept) -> None:
        """Files of an epoch are not what they were."""
        if left.let_go:
            self._observer.warning(
                f"epoch {epoch.number} goes on without {counted(left.let_go, 'file')} that are gone, or have "
                f"changed and are taken when they have settled: {_named(left.let_go, left.names)}"
            )

    def set_aside(self, epoch: Epoch, url: str) -> None:
        """An epoch is not tried any more. `url`: of what names its files."""
        tries = "1 try" if epoch.failures == 1 else f"{epoch.failures:,} tries"
        self._observer.warning(
            f"epoch {epoch.number} is set aside after {tries} ({epoch.reason}); {url} names its "
            f"{counted(epoch.list.files, 'file')}, and a retry takes it up"
        )


def _named(count: int, names: Sequence[str]) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
