"""What a process of the service counts of itself, for Prometheus: requests, and the work of its jobs.

Each process has its own, as Prometheus expects; what all of them share (jobs by state) is read from the database
when the figures are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from batchpredict.job import State
from batchpredict.service.store.interface import JobStore, StoreFailed

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Seconds. From a read of SQLite to a create that looks at files on an object store.
_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Seconds. From an idle service to a queue of days.
_WAITS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)


class Measures:
    """The figures of one process. Every method is cheap, and may be called from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Histogram(
            "batchpredict_request_seconds",
            "Time to answer a request.",
            ("method", "code"),
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "batchpredict_requests_in_flight", "Requests that are being answered.", registry=self._registry
        )
        self._waits = Histogram(
            "batchpredict_queue_wait_seconds",
            "Time from a job's creation to its first claim by a worker of this process.",
            buckets=_WAITS,
            registry=self._registry,
        )
        self._records = Counter(
            "batchpredict_records",
            "Instances that jobs of this process scored or refused.",
            registry=self._registry,
        )
        self._splits = Counter(
            "batchpredict_splits", "Splits that jobs of this process have committed.", registry=self._registry
        )

    def request(self, method: str, code: int, seconds: float) -> None:
        """An answered request. `method`: its id, "projects.jobs.create"; "other" for what is none."""
        self._requests.labels(method, str(code)).observe(seconds)

    def begun(self) -> None:
        self._in_flight.inc()

    def ended(self) -> None:
        self._in_flight.dec()

    def waited(self, seconds: float) -> None:
        """A job was claimed for the first time, so long after it was created."""
        self._waits.observe(max(0.0, seconds))

    def scored(self, records: int) -> None:
        """So many more records of a job were committed."""
        self._records.inc(max(0, records))

    def committed(self, splits: int) -> None:
        """So many more splits of a job were committed."""
        self._splits.inc(max(0, splits))

    def of_store(self, store: JobStore) -> None:
        """From now on also what the store knows."""
        self._registry.register(_StoreCollector(store))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Jobs by state. A database that does not answer leaves them out: it is no reason to lose the rest."""
        try:
            counts: Mapping[State, int] = self._store.counts()
        except StoreFailed:
            return
        family = GaugeMetricFamily("batchpredict_jobs", "Jobs by state, of all projects.", labels=["state"])
        for state in State:
            if state is not State.STATE_UNSPECIFIED:
                family.add_metric([state.value], counts.get(state, 0))
        yield family

    def describe(self) -> Iterator[Metric]:
        return iter(())
