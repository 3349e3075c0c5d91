"""Sends what is in the outbox: each change of a job's state to the job's webhook, at least once.

A delivery is struck out after the receiver has said 2xx. Whoever dies between the two, or loses the answer, sends
it again: the receiver knows it by its `webhook-id`. Changes of one job may arrive in another order than that of
their ids, in which they happened, when one of them had to be tried again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from batchpredict import __version__
from batchpredict.resources import JobName
from batchpredict.service.settings import Settings
from batchpredict.service.store.interface import Delivery, OutboxStore, StoreFailed
from batchpredict.service.webhooks.addresses import url_fault
from batchpredict.service.webhooks.backoff import next_wait
from batchpredict.service.webhooks.posting import TIMEOUT, Answer, Poster
from batchpredict.service.webhooks.signature import read_keys, sign

IN_FLIGHT = 32
"""Requests at a time: enough that a few receivers that never answer do not hold up the others."""

POLL = 1.0
"""Seconds between two looks into the outbox."""

LEASE = timedelta(seconds=4 * TIMEOUT)
"""For how long nobody else sends what this one has taken."""

_GONE = 410

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sender:
    """The deliveries of one process. Several may run on one store.

    Attributes:
      store: where the outbox is.
      keys: that sign, the newest first.
      hosts: that webhooks may name.
      poster: sends one request.
      clock: seconds since 1970.
      draw: random numbers from 0 to 1.
    """

    store: OutboxStore
    keys: Sequence[bytes] = field(repr=False)
    hosts: Sequence[str]
    poster: Poster
    clock: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random
    poll: float = POLL

    @classmethod
    def of(cls, settings: Settings, store: OutboxStore) -> Sender | None:
        """That of a service; None for one that sends no webhooks. Raises WrongCall: its keys cannot be read."""
        if not settings.webhook_hosts:
            return None
        private = [ipaddress.ip_network(each) for each in settings.webhook_private]
        return cls(store, read_keys(settings.webhook_secret_file), settings.webhook_hosts, Poster(private))

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop; then what is on its way is waited for."""
        asyncio.run(self._run(stop))

    def round(self) -> int:
        """Send what is due now, and wait for its end; how many there were."""
        return asyncio.run(self._round())

    async def _round(self) -> int:
        taken = await asyncio.to_thread(self.store.due, IN_FLIGHT, LEASE)
        await asyncio.gather(*(self._deliver(delivery) for delivery in taken))
        return len(taken)

    async def _run(self, stop: threading.Event) -> None:
        under_way: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            taken = await self._take(IN_FLIGHT - len(under_way))
            for delivery in taken:
                task = asyncio.create_task(self._deliver(delivery))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            if len(under_way) >= IN_FLIGHT:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            elif not taken:
                await asyncio.to_thread(stop.wait, self.poll)
        await asyncio.gather(*under_way)

    async def _take(self, room: int) -> list[Delivery]:
        try:
            return await asyncio.to_thread(self.store.due, room, LEASE)
        except StoreFailed as error:
            _log.warning("Webhooks wait for the database: %s", error)
            return []
        except Exception:
            # A service that tells nobody any more would look as if all were well.
            _log.exception("The webhooks that are due could not be read")
            return []

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            # Whom webhooks may be sent to may have changed since the job was created.
            fault = url_fault(delivery.url, self.hosts)
            answer = Answer(_GONE, fault) if fault else await self._post(delivery)
            await asyncio.to_thread(self._settle, delivery, answer)
        except StoreFailed as error:
            _log.warning("Webhook %d is sent again: the database did not take its end: %s", delivery.number, error)
        except Exception:
            # One that we fail at must not keep the others from being sent; it comes again after its lease.
            _log.exception("Webhook %d could not be sent", delivery.number)

    async def _post(self, delivery: Delivery) -> Answer:
        body = json.dumps(delivery.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        number, timestamp = str(delivery.number), int(self.clock())
        return await self.poster.post(
            delivery.url,
            {
                "content-type": "application/json",
                "user-agent": f"batchpredict/{__version__}",
                "webhook-id": number,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(self.keys, number, timestamp, body),
                "batchpredict-job": str(JobName(delivery.project, delivery.job_id)),
                "batchpredict-state": str(delivery.body.get("state", "")),
            },
            body,
        )

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        name = f"{delivery.number} of job {delivery.project}/{delivery.job_id}"
        if answer.delivered:
            self.store.delivered(delivery.number)
            return
        wait = next_wait(delivery.attempts + 1, self.draw(), answer.asked)
        if wait is None or answer.status == _GONE:
            _log.warning("Webhook %s is given up: %s", name, answer.reason)
            self.store.give_up(delivery.number, answer.reason)
        else:
            _log.info("Webhook %s is tried again in %d s: %s", name, wait.total_seconds(), answer.reason)
            self.store.postpone(delivery.number, wait)
