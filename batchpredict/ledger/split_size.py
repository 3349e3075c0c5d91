"""How large the splits of a job are."""

from __future__ import annotations

from batchpredict import storage
from batchpredict.errors import NoInput
from batchpredict.formats import InputFormat, Run, Segment

# A job is cut into about this many splits, which is what one that is killed loses a few of.
_SPLITS = 64
# A smaller split spends more on its files and its manifest than on its records.
_SMALLEST = 256 * 1024
# The same on a store, where each of these is a request, and a split waits for three of 50 ms in its turn.
_SMALLEST_REMOTE = 32 * 1024 * 1024
# A larger one makes the last worker's last split too long to wait for.
_LARGEST = 64 * 1024 * 1024
# A split ends in a short batch, so it should have some whole ones before that.
_BATCHES = 4
_SAMPLE_BYTES = 1024 * 1024


def choose_split_bytes(total: int, batch_size: int, record_bytes: float, *, remote: bool = False) -> int:
    """Bytes of a split: a share of the job, but some batches, and neither too small nor too large."""
    batches = int(_BATCHES * batch_size * record_bytes)
    smallest = _SMALLEST_REMOTE if remote else _SMALLEST
    return max(min(max(total // _SPLITS, smallest), _LARGEST), batches)


def most_splits(total: int, split_bytes: int | None, *, remote: bool = False) -> int:
    """More splits than these a job does not have: with small files packed, two neighbours exceed one split's size.

    Args:
      total: bytes of its inputs, of which there are not thousands.
      split_bytes: as the job has it; None for a size that is chosen.
    """
    smallest = split_bytes or (_SMALLEST_REMOTE if remote else _SMALLEST)
    return 2 * total // smallest + 1


def mean_record_bytes(first: storage.Input | None, data_format: InputFormat, max_record_bytes: int) -> float:
    """Mean size of the first records of a file; 0 if that cannot be said. Raises NoInput if it cannot be read."""
    if first is None or not data_format.sampled:
        return 0.0
    segment = Segment(first.url, 0, min(first.size, _SAMPLE_BYTES), first.size)
    try:
        events = data_format.load_reader()(segment, rows=1024, max_record_bytes=max_record_bytes)
        run = next((event for event in events if isinstance(event, Run)), None)
    except OSError as error:
        raise NoInput(f"inputPaths: '{first.url}' cannot be read: {error}") from error
    return sum(map(len, run.payloads)) / len(run) if run else 0.0
