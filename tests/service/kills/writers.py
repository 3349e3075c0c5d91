"""Clients that change labels of jobs and IAM policies, each by the etag that it has read, and record every call."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from service.kills.registers import Operation, Outcome, Read, Write, check_register
from service.kills_support import PROJECT, Look, Service

from batchpredict.service.store import Store

# Long enough that what was decided on is stale at times; short enough for hundreds of writes in a round.
_LONGEST_PAUSE = 0.3
_LAST = "last"

Marks = dict[str, str]
"""What a register holds here: the number of the last write of each client, and which write was the last of all."""


class Register(Protocol):
    """Something that has an etag. Values compare: two are one register if they say the same."""

    def get(self, client: httpx.Client) -> httpx.Response: ...

    def put(self, client: httpx.Client, etag: str, marks: Marks) -> httpx.Response: ...

    def stored(self, store: Store) -> Mapping[str, Any]:
        """As `get` answers, but without a server."""
        ...

    def marks(self, document: Mapping[str, Any]) -> Marks: ...


@dataclass(frozen=True)
class JobLabels:
    """The labels of a job."""

    job: str

    def get(self, client: httpx.Client) -> httpx.Response:
        return client.get(f"/v1/projects/{PROJECT}/jobs/{self.job}")

    def put(self, client: httpx.Client, etag: str, marks: Marks) -> httpx.Response:
        path = f"/v1/projects/{PROJECT}/jobs/{self.job}?updateMask=labels,etag"
        return client.patch(path, json={"labels": marks, "etag": etag})

    def stored(self, store: Store) -> Mapping[str, Any]:
        found = store.job(PROJECT, self.job)
        return {"labels": found.new.labels, "etag": found.etag}

    def marks(self, document: Mapping[str, Any]) -> Marks:
        return dict(document.get("labels", {}))


@dataclass(frozen=True)
class IamPolicy:
    """The policy of a resource: of a project or a job."""

    resource: str

    def get(self, client: httpx.Client) -> httpx.Response:
        return client.get(f"/v1/{self.resource}:getIamPolicy")

    def put(self, client: httpx.Client, etag: str, marks: Marks) -> httpx.Response:
        members = [f"user:{name}.{mark}@example.com" for name, mark in marks.items()]
        policy = {"bindings": [{"role": "roles/ml.viewer", "members": members}], "etag": etag}
        return client.post(f"/v1/{self.resource}:setIamPolicy", json={"policy": policy})

    def stored(self, store: Store) -> Mapping[str, Any]:
        return store.policy(self.resource)

    def marks(self, document: Mapping[str, Any]) -> Marks:
        members = [member for binding in document.get("bindings", ()) for member in binding["members"]]
        pairs = (member.removeprefix("user:").removesuffix("@example.com").split(".") for member in members)
        return dict(pairs)


class Writers:
    """Threads that read, change and write registers until they are closed.

    Args:
      servers: names of the APIs that are called, by chance.
      registers: that are there already.
    """

    def __init__(self, service: Service, servers: Iterable[str], registers: Iterable[Register], seed: int) -> None:
        self._urls = [f"http://127.0.0.1:{service.port_of(name)}" for name in servers]
        self._registers = list(registers)
        self._recent: list[Register] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._history: dict[Register, list[Operation]] = defaultdict(list)
        self._faults: list[object] = []
        chances = [random.Random(f"{seed} {number}") for number in range(4)]
        self._threads = [
            threading.Thread(target=self._run, args=(f"w{number}", chance), daemon=True)
            for number, chance in enumerate(chances)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, register: Register) -> None:
        """One that is written for some time, until newer ones have come."""
        self._recent = [*self._recent[-1:], register]

    def close(self) -> None:
        """Raises AssertionError: a call had an answer that it must not have."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self._faults, self._faults[:5]

    def check(self, store: Store, looks: Mapping[str, Iterable[Look]]) -> dict[str, int]:
        """Check the registers one by one, after all servers have ended; gives how many writes came to what.

        Args:
          looks: at jobs, which show their labels too.
        """
        figures: Counter[str] = Counter()
        for register, operations in self._history.items():
            now = time.time()
            document = register.stored(store)
            reads = [_read("store", register, (now, now), document)]
            if isinstance(register, JobLabels):
                reads += [
                    _read("watcher", register, (look.began, look.ended), look.job)
                    for look in looks.get(register.job, ())
                ]
            effective = check_register([*operations, *reads])
            figures.update(each.outcome.value for each in operations if isinstance(each, Write))
            figures["unknown, took effect"] += sum(each.outcome is Outcome.UNKNOWN for each in effective)
        return {"registers": len(self._history), **figures}

    def _run(self, name: str, chance: random.Random) -> None:
        clients = [httpx.Client(base_url=url, timeout=5) for url in self._urls]
        mine: dict[Register, Read] = {}
        try:
            number = 0
            while not self._over.wait(chance.uniform(0, _LONGEST_PAUSE)):
                register = chance.choice([*self._registers, *self._recent])
                client = chance.choice(clients)
                # What the last write has given is an etag like any other, though by now it may be stale.
                known = mine.pop(register, None)
                if known is None or chance.random() < 0.5:
                    known = self._read(name, register, client)
                if known is not None:
                    number += 1
                    written = self._write(name, number, register, known, chance.choice(clients))
                    if written is not None:
                        mine[register] = written
        except Exception as error:
            self._faults.append(error)
        finally:
            for client in clients:
                client.close()

    def _read(self, name: str, register: Register, client: httpx.Client) -> Read | None:
        began = time.time()
        try:
            answer = register.get(client)
        except httpx.HTTPError:
            return None
        ended = time.time()
        if answer.status_code != 200:
            self._refuse_unless_unavailable(answer)
            return None
        found = _read(name, register, (began, ended), answer.json())
        self._record(register, found)
        return found

    def _write(self, name: str, number: int, register: Register, known: Read, client: httpx.Client) -> Read | None:
        marks = {**_marks_of(known.value), name: str(number), _LAST: f"{name}-{number}"}
        began, answer = time.time(), None
        with contextlib.suppress(httpx.HTTPError):
            answer = register.put(client, known.etag, marks)
        ended = time.time()
        outcome, etag = Outcome.UNKNOWN, ""
        if answer is not None and answer.status_code == 200:
            told = _read(name, register, (began, ended), answer.json())
            if told.value != _value_of(marks):
                self._faults.append(f"{marks} were written, and the answer is {answer.text}")
            outcome, etag = Outcome.OK, told.etag
        elif answer is not None and answer.status_code == 409:
            outcome = Outcome.REFUSED
        elif answer is not None:
            self._refuse_unless_unavailable(answer)
        self._record(register, Write(name, began, ended, known.etag, _value_of(marks), outcome, etag))
        return Read(name, began, ended, etag, _value_of(marks)) if outcome is Outcome.OK else None

    def _record(self, register: Register, operation: Operation) -> None:
        with self._lock:
            self._history[register].append(operation)

    def _refuse_unless_unavailable(self, answer: httpx.Response) -> None:
        if answer.status_code != 503:
            self._faults.append(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")


def _read(client: str, register: Register, time_of: tuple[float, float], document: Mapping[str, Any]) -> Read:
    return Read(client, *time_of, document["etag"], _value_of(register.marks(document)))


def _value_of(marks: Marks) -> str:
    return " ".join(f"{name}={mark}" for name, mark in sorted(marks.items()))


def _marks_of(value: str) -> Marks:
    return dict(pair.split("=") for pair in value.split())
