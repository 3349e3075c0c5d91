"""Where the hosts of one gang meet: small documents by name. The contract, and what its implementations share.

`folder` keeps them in a folder that all hosts reach; `service` in the jobs service that runs the job. Both run one
suite of tests, `tests/training/gang/test_rendezvous_conformance.py`; another implementation is one more fixture
there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

Document = Mapping[str, Any]
"""What JSON can say: strings, numbers, booleans, None, lists and objects with strings for keys."""

LONGEST = 256 * 2**10
"""Bytes of a document as JSON. The sign of life of a host that has all replicas of the largest cluster, a thousand,
takes a third of this."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,199}", re.ASCII)


class Rendezvous(Protocol):
    """Small documents by name, which the hosts of one gang share.

    Names are made of ASCII letters and digits, `-`, `_` and `.`, begin with a letter, have at most 200 characters,
    and are told apart by case or not: nobody uses two that differ in nothing else. A document has at most `LONGEST`
    bytes as JSON. A name or document that is neither is a ValueError, and nothing is written.

    Consistency. What a call has written is given by every `read`, of any host, that begins after it has returned.
    A `read` that runs while documents are written gives each of those, or not; a document that it gives is whole.
    Nothing is ever deleted as long as the gang may be asked for.

    Lost answers. A call that raises may have done all the same what it was asked for, at once or never, and may be
    made again. `create` that is made again with the same document says True if the first call had created it.

    Errors. Every other failure is an OSError; of those, PermissionError says that asking again is of no use:
    whoever asks is not, or not any more, one of the hosts. What passes by itself, such as a store that is busy or a
    server that is started again, has been tried again for some seconds before it is raised.

    Threads. Any number of threads and processes may use one rendezvous. Two callers that race to create one name
    have distinct documents.
    """

    def create(self, name: str, document: Document) -> bool:
        """Write a document unless there is one of that name; True if it is this one that is there now.

        Atomic: of any number of callers exactly one is told True. What was created is never written again.
        """

    def put(self, name: str, document: Document) -> None:
        """Write a document, replacing what is there in one step. Each such name has one writer.

        It renews a lease: who reads another document than before knows that its writer was alive in between.
        """

    def read(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """The documents whose names begin with `prefix`, by name. They are not to be changed.

        It is asked about once a second by every host, so what has not changed since the last call should not cost
        anything: all calls together, one listing and what is new.
        """


def is_name(text: str) -> bool:
    """Whether it can be the name of a document."""
    return _NAME.fullmatch(text) is not None


def encoded(name: str, document: Document) -> bytes:
    """A document as JSON, always the same for the same.

    Raises:
      ValueError: it cannot be one, or its name is none.
    """
    if not is_name(name):
        raise ValueError(f'"{name}" cannot be the name of a document.')
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    if len(data) > LONGEST:
        raise ValueError(f'The document "{name}" has {len(data)} bytes; at most {LONGEST} are allowed.')
    return data
