"""Signs of life, so that one watcher does an epoch and the others wait for it.

Nothing depends on them: two watchers that do the same epoch are two runs of one job, which do each other no harm. A
watcher writes its sign again and again while it does an epoch; one that does not change any more is of a watcher
that has died. It is judged by how long the one who looks has seen it as it is, so no clocks are compared.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator

from batchpredict import storage
from batchpredict.epochs.folder import Folder
from batchpredict.ledger import reading

# Seconds between two signs: a request to a store each.
BEAT = 5.0
# Seconds without a new one after which a watcher is given up: some that were late or lost.
SILENCE = 20.0

_NAME = re.compile(r"(\d{8,})@(.+)@(\d+)@[0-9a-f]{8}\.json")


class Signs:
    """The signs of one watcher, and what it sees of others.

    Args:
      folder: of the watch.
      clock: seconds, never set.
    """

    def __init__(
        self, folder: Folder, clock: Callable[[], float], *, beat: float = BEAT, silence: float = SILENCE
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._beat = beat
        self._silence = silence
        self._nonce = uuid.uuid4().hex[:8]
        self._seen: dict[str, tuple[str, float]] = {}

    @contextlib.contextmanager
    def doing(self, epoch: int) -> Iterator[None]:
        """While this lasts, others are told that this watcher does an epoch."""
        name = f"{epoch:08d}@{_host()}@{os.getpid()}@{self._nonce}.json"
        url = storage.join(self._folder.watchers, name)
        ended = threading.Event()
        # Before the work: who looks a moment later is to see it.
        _write(url, 0)
        thread = threading.Thread(target=_beat, args=(url, ended, self._beat), name="signs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(self._beat)
            with contextlib.suppress(OSError):
                storage.delete(url)

    def busy(self) -> set[int]:
        """The epochs that other watchers do, as far as one can tell.

        Raises:
          OutputRefused: the folder cannot be listed.
        """
        now = self._clock()
        found = reading(self._folder.output_path, storage.files_in, self._folder.watchers)
        seen: dict[str, tuple[str, float]] = {}
        busy = set()
        for name, file in found.items():
            parts = _NAME.fullmatch(name)
            if parts is None or name.endswith(f"@{self._nonce}.json"):
                continue
            version, since = self._seen.get(name, ("", now))
            seen[name] = (file.version, since if version == file.version else now)
            if _is_dead(parts[2], int(parts[3])) or now - seen[name][1] > self._silence:
                with contextlib.suppress(OSError):
                    storage.delete(storage.join(self._folder.watchers, name))
            else:
                busy.add(int(parts[1]))
        self._seen = seen
        return busy


def _host() -> str:
    return os.uname().nodename.replace("@", "_").replace("/", "_")


def _is_dead(host: str, process: int) -> bool:
    """Whether a process of this very machine is no more; of another machine nobody can tell."""
    if host != _host():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _beat(url: str, ended: threading.Event, seconds: float) -> None:
    number = 0
    while not ended.wait(seconds):
        number += 1
        _write(url, number)


def _write(url: str, number: int) -> None:
    # One that is lost is followed by others.
    with contextlib.suppress(OSError):
        storage.replace_bytes(url, f'{{"beat": {number}}}'.encode())
