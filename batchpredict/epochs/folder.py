"""Where a watch keeps what, in its output folder.

    OUTPUT/epoch=00000012/                        the results of an epoch, as of any job
    OUTPUT/_set-aside.jsonl                       the files of epochs that were given up, for people
    OUTPUT/_batchpredict/epochs/
        log/000000000123.json                     an event, create-if-absent: the first one wins (`log.py`)
        lists/….jsonl                             the files of an epoch, sorted by URL
        runs/….jsonl                              the files of many epochs that are done (`runs.py`)
        watchers/00000012@….json                  a watcher that does an epoch is alive (`signs.py`)

A list and a run are written under a name that nobody else gets, and are part of the ledger once an event says so:
what a watcher that died has left half done is seen by no other.
"""

from __future__ import annotations

import uuid

from batchpredict import storage
from batchpredict.ledger import FOLDER

SET_ASIDE = "_set-aside.jsonl"


class Folder:
    """Names of a watch's files in its output folder.

    Args:
      output_path: the folder.
    """

    def __init__(self, output_path: str) -> None:
        self.output_path = output_path
        self.root = storage.join(output_path, FOLDER, "epochs")
        self.log = storage.join(self.root, "log")
        self.lists = storage.join(self.root, "lists")
        self.runs = storage.join(self.root, "runs")
        self.watchers = storage.join(self.root, "watchers")
        self.set_aside = storage.join(output_path, SET_ASIDE)

    def event(self, number: int) -> str:
        return storage.join(self.log, f"{number:012d}.json")

    def list(self, name: str) -> str:
        return storage.join(self.lists, name)

    def run(self, name: str) -> str:
        return storage.join(self.runs, name)

    def results(self, epoch: int) -> str:
        """The output folder of an epoch's job."""
        return storage.join(self.output_path, f"epoch={epoch:08d}")


def new_name() -> str:
    """A name for a list or a run; nobody else gets the same."""
    return f"{uuid.uuid4().hex}.jsonl"
