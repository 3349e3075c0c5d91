"""Deliveries, from the outbox of a real store to a real receiver."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from service.webhooks_support import Receiver, certificate, receiver

from batchpredict import __version__
from batchpredict.service.queue.lifecycle import Cancel
from batchpredict.service.settings import Settings
from batchpredict.service.store import NewJob, Store, open_store
from batchpredict.service.webhooks import Sender, verify
from batchpredict.service.webhooks.backoff import ATTEMPTS
from batchpredict.service.webhooks.posting import MAX_ANSWER, Poster

KEY = b"k" * 32
HERE = (ipaddress.ip_network("127.0.0.0/8"),)


class Clock:
    """The store's clock and the sender's."""

    now = datetime(2027, 1, 15, 8, 0, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "jobs.db"), clock)
    yield opened
    opened.close()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def sender(store: Store, clock: Clock, **options: Any) -> Sender:
    poster = Poster(options.pop("private", HERE), **{"timeout": 20.0, **options})
    return Sender(store, [KEY], ["*"], poster, clock=lambda: clock.now.timestamp(), draw=lambda: 0.5, poll=0.01)


def change(store: Store, url: str, job_id: str = "j") -> None:
    """A job that was created and cancelled: one or two changes."""
    store.create_job(NewJob("p", job_id, {"jobId": job_id, "predictionInput": {"region": "é"}}, webhook=url))
    store.cancel("p", job_id, Cancel("It was not needed."))


def test_a_change_is_told_signed(store, clock, hook):
    change(store, hook.url)
    sent = sender(store, clock).round()
    assert sent == len(hook.requests) > 0
    request = hook.requests[-1]
    verify(KEY, request.headers, request.body, clock.now.timestamp())
    job = json.loads(request.body)
    assert job["jobId"] == "j"
    assert job["state"] == request.headers["batchpredict-state"] == "CANCELLED"
    assert request.headers["batchpredict-job"] == "projects/p/jobs/j"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"batchpredict/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{hook.port}"
    assert request.path == "/hook"


def test_what_was_told_is_not_told_again(store, clock, hook):
    change(store, hook.url)
    assert sender(store, clock).round()
    clock.now += timedelta(days=2)
    assert sender(store, clock).round() == 0


def test_a_job_without_a_webhook_tells_nobody(store, clock):
    change(store, "")
    assert sender(store, clock).round() == 0


def test_what_was_not_taken_is_sent_again_later(store, clock, hook):
    change(store, hook.url)
    hook.answers = [500] * 10
    first = sender(store, clock).round()
    assert sender(store, clock).round() == 0
    hook.answers = []
    clock.now += timedelta(seconds=5)
    assert sender(store, clock).round() == first
    ids = [request.headers["webhook-id"] for request in hook.requests]
    assert sorted(ids[:first]) == sorted(ids[first:])
    clock.now += timedelta(days=2)
    assert sender(store, clock).round() == 0


def test_a_sender_that_dies_before_it_knows_sends_again(store, clock, hook):
    change(store, hook.url)
    taken = store.due(10, timedelta(seconds=60))
    assert sender(store, clock).round() == 0
    clock.now += timedelta(seconds=60)
    assert sender(store, clock).round() == len(taken)


def test_a_receiver_may_say_when(store, clock, hook):
    change(store, hook.url)
    hook.answers, hook.headers = [503] * 10, {"retry-after": "600"}
    assert sender(store, clock).round()
    hook.answers = []
    clock.now += timedelta(seconds=599)
    assert sender(store, clock).round() == 0
    clock.now += timedelta(seconds=1)
    assert sender(store, clock).round()


def test_a_receiver_that_is_gone_is_left_alone(store, clock, hook):
    change(store, hook.url)
    hook.answers = [410] * 10
    assert sender(store, clock).round()
    clock.now += timedelta(days=2)
    assert sender(store, clock).round() == 0


def test_in_the_end_a_delivery_is_given_up(store, clock, hook):
    change(store, hook.url)
    hook.answers = [500] * 1000
    rounds = 0
    while sender(store, clock).round():
        rounds += 1
        clock.now += timedelta(hours=2)
    assert rounds == ATTEMPTS


def test_redirects_are_not_followed(store, clock, hook):
    change(store, hook.url)
    hook.answers, hook.headers = [302, 307, 308, 301], {"location": f"http://127.0.0.1:{hook.port}/elsewhere"}
    sender(store, clock).round()
    assert {request.path for request in hook.requests} == {"/hook"}
    clock.now += timedelta(seconds=5)
    hook.answers, hook.headers = [], {}
    assert sender(store, clock).round()


def failed(store: Store, clock: Clock, **options: Any) -> None:
    """Every delivery that is due now fails, and is tried again later."""
    count = sender(store, clock, **options).round()
    assert count
    clock.now += timedelta(seconds=5)
    assert len(store.due(100, timedelta(seconds=1))) == count


def test_private_addresses_are_not_connected_to(store, clock, hook):
    change(store, hook.url)
    failed(store, clock, private=())
    assert hook.requests == []


def test_a_name_that_leads_to_this_machine_is_not_connected_to(store, clock, hook):
    change(store, f"http://localhost:{hook.port}/hook")
    failed(store, clock, private=())
    assert hook.requests == []


class Rebinding:
    """A name server that gives another address at each question."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(store, clock, hook):
    """The name means an allowed address at the first question and would mean another at a second."""
    change(store, f"http://rebinding.example:{hook.port}/hook")
    names = Rebinding(["127.0.0.1"], ["127.0.0.2"])
    count = sender(store, clock, private=[ipaddress.ip_network("127.0.0.1/32")], resolve=names).round()
    assert len(names.asked) == count
    assert len(hook.requests) == 1
    assert hook.requests[0].headers["host"] == f"rebinding.example:{hook.port}"


def test_of_several_addresses_only_those_that_may_be_are_tried(store, clock, hook):
    change(store, f"http://several.example:{hook.port}/hook")
    names = Rebinding(["169.254.169.254", "::1", "127.0.0.1"])
    assert sender(store, clock, resolve=names).round() == len(hook.requests)


def test_the_next_address_is_tried_where_nobody_listens_at_the_first(store, clock, hook):
    change(store, f"http://several.example:{hook.port}/hook")
    assert sender(store, clock, resolve=Rebinding(["127.0.0.9", "127.0.0.1"])).round() == len(hook.requests)


def test_a_name_that_has_no_address_is_tried_again(store, clock):
    async def nothing(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    change(store, "https://nowhere.example/")
    failed(store, clock, resolve=nothing)


def test_proxies_of_the_environment_are_not_used(store, clock, hook, monkeypatch):
    with receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        change(store, hook.url)
        assert sender(store, clock).round() == len(hook.requests)
        assert proxy.requests == []


def test_tls_is_of_the_name_though_the_connection_is_to_the_address(store, clock, tmp_path):
    server, client = certificate(tmp_path, "hooks.example")
    with receiver(server) as hook:
        change(store, f"https://hooks.example:{hook.port}/hook")
        assert sender(store, clock, tls=client, resolve=Rebinding(["127.0.0.1"])).round() == len(hook.requests)
        assert hook.requests[0].headers["host"] == f"hooks.example:{hook.port}"


def test_a_certificate_of_another_name_is_refused(store, clock, tmp_path):
    server, client = certificate(tmp_path, "other.example")
    with receiver(server) as hook:
        change(store, f"https://hooks.example:{hook.port}/hook")
        failed(store, clock, tls=client, resolve=Rebinding(["127.0.0.1"]))
        assert hook.requests == []


def test_a_certificate_that_nobody_trusts_is_refused(store, clock, tmp_path):
    server, _ = certificate(tmp_path, "hooks.example")
    with receiver(server) as hook:
        change(store, f"https://hooks.example:{hook.port}/hook")
        failed(store, clock, resolve=Rebinding(["127.0.0.1"]))
        assert hook.requests == []


def endless_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 65536)


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"x-header: " + b"x" * 1000 + b"\r\n")


def nothing_of_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def nothing(handler: BaseHTTPRequestHandler) -> None:
    pass


def test_an_answer_without_an_end_is_read_no_further_than_its_bound(store, clock, hook):
    change(store, hook.url)
    hook.write = endless_body
    assert sender(store, clock).round()
    clock.now += timedelta(days=2)
    assert store.due(10, timedelta(seconds=1)) == []
    assert MAX_ANSWER < 1 << 20


@pytest.mark.parametrize("write", [endless_headers, nothing_of_http, nothing])
def test_what_is_no_answer_is_a_failure(store, clock, hook, write):
    change(store, hook.url)
    hook.write = write
    failed(store, clock)


def test_a_receiver_that_drips_is_cut_off(store, clock, hook):
    gone = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not gone.wait(0.05):
            handler.wfile.write(b"x")

    change(store, hook.url)
    hook.write = drip
    failed(store, clock, timeout=0.5)
    gone.set()


def test_a_host_that_is_not_allowed_any_more_is_not_told(store, clock, hook):
    change(store, hook.url)
    strict = Sender(store, [KEY], ["hooks.example"], Poster(HERE))
    assert strict.round()
    assert hook.requests == []
    clock.now += timedelta(days=2)
    assert store.due(10, timedelta(seconds=1)) == []


def test_a_running_sender_tells_until_it_is_stopped(store, clock, hook):
    stop = threading.Event()
    thread = threading.Thread(target=sender(store, clock).run, args=(stop,))
    thread.start()
    for number in range(40):
        change(store, hook.url, f"j{number}")
    while len({request.headers["batchpredict-job"] for request in hook.requests}) < 40:
        stop.wait(0.01)
    stop.set()
    thread.join()
    assert sender(store, clock).round() == 0


def test_one_that_cannot_be_sent_does_not_stop_the_others(store, clock, hook):
    change(store, hook.url, "first")
    change(store, hook.url, "second")
    working = sender(store, clock)
    first = store.due(1, timedelta(seconds=60))[0]

    class Broken:
        """The store, with one delivery that no code of ours expects."""

        def due(self, limit: int, lease: timedelta) -> list[Any]:
            return [replace(first, body=None), *store.due(limit, lease)]

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    assert replace(working, store=Broken()).round() == len(hook.requests) + 1 >= 2


def test_a_slow_receiver_does_not_hold_up_another(store, clock, hook):
    stop, gone = threading.Event(), threading.Event()
    with receiver() as slow:
        slow.write = lambda handler: (gone.wait(), None)[1]
        change(store, slow.url, "slow")
        thread = threading.Thread(target=sender(store, clock).run, args=(stop,))
        thread.start()
        slow.wait_for(1)
        change(store, hook.url, "quick")
        hook.wait_for(1)
        gone.set()
        stop.set()
        thread.join()


def test_two_senders_on_one_store_tell_each_change_once(store, clock, hook):
    for number in range(20):
        change(store, hook.url, f"j{number}")
    senders = [threading.Thread(target=sender(store, clock).round) for _ in range(3)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    while sender(store, clock).round():
        pass
    ids = [request.headers["webhook-id"] for request in hook.requests]
    assert len(ids) == len(set(ids)) >= 20


def test_a_service_without_hosts_has_no_sender(store):
    assert Sender.of(Settings(), store) is None


def test_the_sender_of_a_service(store, clock, hook, tmp_path):
    secret = tmp_path / "key"
    secret.write_bytes(KEY)
    settings = Settings(
        webhook_hosts=("127.0.0.1",), webhook_private=("127.0.0.0/8",), webhook_secret_file=str(secret)
    )
    configured = Sender.of(settings, store)
    assert configured is not None
    assert "kkkk" not in repr(configured)
    change(store, hook.url)
    assert configured.round() == len(hook.requests)


def test_posting_does_not_raise_for_any_address():
    for url in ("http://127.0.0.1:1/", "http://[::1]:1/", "https://127.0.0.1:1/", "http://x\udc00.example/"):
        answer = asyncio.run(Poster([*HERE, ipaddress.ip_network("::1/128")]).post(url, {}, b""))
        assert not answer.delivered
        assert answer.reason
