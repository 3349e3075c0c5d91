"""The staging folder of a job: where parts wait and manifests commit them.

    OUTPUT/_batchpredict/owner.json            which job's results stand in OUTPUT
    OUTPUT/_batchpredict/FINGERPRINT/
        spec.json                              what was asked for
        plan.json, splits-….jsonl              what the job consists of, written once
        positions.bin                          of a job over some records: where they are, 32 bytes each
        parts/SSSSSSSS-ATTEMPT.results…        what attempts wrote, committed or not
        manifests/SSSSSSSS.json                create-if-absent: the first one wins
        manifests/SSSSSSSS@BYTE.json           the same for a split that had to begin at another byte
        proven/PPPPP.jsonl                     what of a page of splits is to be published, once it is proven
        published/PPPPP.json                   what of a page has been published, with sizes
        output.json                            the PredictionOutput, once all is published

A name that begins with an underscore is passed over by Hadoop, Spark and Beam readers of OUTPUT.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from batchpredict import storage
from batchpredict.errors import OutputRefused, StagingDamaged
from batchpredict.ledger.access import reading, writing
from batchpredict.ledger.manifest import Manifest

FOLDER = "_batchpredict"

# Reading a manifest from an object store is all latency.
_READERS = 16


class Staging:
    """Names and operations of one job's staging folder. Holds no state; any number may work on one folder.

    Every operation raises OutputRefused if the folder cannot be read or written.
    """

    def __init__(self, output_path: str, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.output_path = output_path
        self.root = storage.join(output_path, FOLDER, fingerprint)
        self.parts = storage.join(self.root, "parts")
        self.manifests = storage.join(self.root, "manifests")
        self.spec = storage.join(self.root, "spec.json")
        self.plan = storage.join(self.root, "plan.json")
        self.positions = storage.join(self.root, "positions.bin")
        self.output = storage.join(self.root, "output.json")
        self.published_pages = storage.join(self.root, "published")

    def new_part(self, split: int, suffix: str) -> str:
        """A name for a file of an attempt's part; no other attempt gets the same."""
        return f"{split:08d}-{uuid.uuid4().hex[:12]}{suffix}"

    def part(self, name: str) -> str:
        return storage.join(self.parts, name)

    def proven_parts(self, page: int) -> str:
        return storage.join(self.root, "proven", f"{page:05d}.jsonl")

    def published(self, page: int) -> str:
        return storage.join(self.published_pages, f"{page:05d}.json")

    def commit(self, manifest: Manifest) -> bool:
        """Commit a split. False if another attempt was first: its part counts, this one's must go."""
        name = manifest_name(manifest.split, manifest.forced_start)
        with writing(self.output_path):
            return storage.create_if_absent(storage.join(self.manifests, name), manifest.to_json())

    def is_committed(self, split: int, forced_start: int | None = None) -> bool:
        name = manifest_name(split, forced_start)
        return reading(self.output_path, storage.exists, storage.join(self.manifests, name))

    def committed_among(self, numbers: Sequence[int]) -> list[int]:
        """Those of some splits, given in their order, that are committed; numbers near each other are cheap."""
        names = [manifest_name(number) for number in numbers]
        there = reading(self.output_path, storage.sizes_of, self.manifests, names)
        return [number for number in numbers if manifest_name(number) in there]

    def read(self, split: int, forced_start: int | None = None) -> Manifest:
        """A manifest that is known to be there.

        Raises:
          StagingDamaged: it is not, or cannot be read, or belongs to another job.
        """
        name = manifest_name(split, forced_start)
        url = storage.join(self.manifests, name)
        try:
            manifest = Manifest.from_json(reading(self.output_path, storage.read_bytes, url), url)
        except FileNotFoundError as error:
            text = f"The manifest {url} is gone; run the job again with --fresh."
            raise StagingDamaged(text) from error
        if (manifest.fingerprint, manifest.split) != (self.fingerprint, split):
            raise StagingDamaged(f"The manifest {url} belongs to another job; run this one with --fresh.")
        return manifest

    def read_all(self, keys: Iterable[tuple[int, int | None]]) -> Iterator[Manifest]:
        """The manifests of `keys` in that order, several read at a time, few held."""
        if storage.is_local(self.root):
            yield from (self.read(*key) for key in keys)
            return
        waiting = iter(keys)
        with ThreadPoolExecutor(_READERS) as pool:
            # Executor.map takes all of its input at once; a job may have a million manifests.
            while some := list(itertools.islice(waiting, 4 * _READERS)):
                yield from pool.map(lambda key: self.read(*key), some)

    def forget(self, manifest: Manifest) -> None:
        """Undo a commit whose part is gone."""
        name = manifest_name(manifest.split, manifest.forced_start)
        with writing(self.output_path):
            storage.delete(storage.join(self.manifests, name))

    def clear(self) -> None:
        """Forget every committed split of this job."""
        try:
            storage.delete(self.root, recursive=True)
        except OSError as error:
            raise OutputRefused(f"outputPath: cannot delete '{self.root}': {error}") from error

    def discard(self, *names: str) -> None:
        """Delete the part files of an attempt that failed or came too late, if that can be done.

        Never raises: the reason why the attempt failed is what its caller has to hear, and the files that stay are
        deleted with their folder when the job has succeeded.
        """
        for name in names:
            with contextlib.suppress(OSError):
                storage.delete(self.part(name))


def manifest_name(split: int, forced_start: int | None = None) -> str:
    return f"{split:08d}.json" if forced_start is None else f"{split:08d}@{forced_start}.json"


def worker_name() -> str:
    """This process, as manifests name it."""
    return f"{os.uname().nodename}-{os.getpid()}"
