"""A rendezvous in the jobs service: leases of the job, restarts of the server, and who may come."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from service.store_support import new_job
from training.gang.local import FAST, LocalLauncher
from training.gang.rendezvous_support import PROJECT, ServiceMeeting, hold_again, service_meeting
from training.gang.schedules import Cluster

from batchpredict.training.cluster.replicas import Role
from batchpredict.training.gang import Ending, Gang, Outcome, ServiceAddress, ServiceRendezvous, outcome_of

M, W, P = Role.MASTER, Role.WORKER, Role.PS


@pytest.fixture
def service(tmp_path) -> Iterator[ServiceMeeting]:
    with service_meeting(str(tmp_path)) as meeting:
        yield meeting


def call(service: ServiceMeeting, verb: str, body: bytes | None = None, query: str = "") -> dict[str, Any]:
    """What the service answers to one request, made once."""
    headers = {"Authorization": f"Bearer {service.token}"}
    asked = urllib.request.Request(service.url + query, data=body, headers=headers, method=verb)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_gangs_of_one_job_do_not_see_each_other(service):
    one, other = service.open("f/gang-001"), service.open("f/trials/00001-gang-001")
    assert one.create("x", {"host": "a"})
    assert other.create("x", {"host": "b"})
    assert one.read() == {"x": {"host": "a"}}
    assert other.read() == {"x": {"host": "b"}}


def test_only_what_is_new_is_sent(service):
    writer, reader = service.open(), service.open()
    for index in range(5):
        writer.create(f"gang.1.claim.worker-{index}", {"host": "a"})
    assert len(reader.read()) == 5
    writer.put("host.a", {"beat": 1})
    documents = call(service, "GET", None, "?place=gang-001&since=5")["documents"]
    assert documents == [{"name": "host.a", "number": 6, "document": {"beat": 1}}]


def test_a_put_that_was_delayed_does_not_replace_a_later_one(service):
    writer, reader = service.open(), service.open()
    writer.put("host.a", {"beat": 1})
    # As if the connection had been cut, and the request had been in some buffer on the way.
    service.faults.late = b'"beat":2'
    body = b'{"place":"gang-001","name":"host.a","document":{"beat":2},"replaces":1}'
    answers: list[dict[str, object]] = []
    late = threading.Thread(target=lambda: answers.append(call(service, "PUT", body)))
    late.start()
    until(lambda: not service.faults.late)
    writer.put("host.a", {"beat": 2})
    writer.put("host.a", {"beat": 3})
    service.faults.gate.set()
    late.join()
    assert answers == [{"written": False, "number": 3}]
    assert reader.read() == {"host.a": {"beat": 3}}


def test_the_server_is_started_again_in_the_middle(service):
    rendezvous, other = service.open(), service.open()
    assert rendezvous.create("x", {"host": "a"})
    rendezvous.put("host.a", {"beat": 1})
    assert len(other.read()) == 2
    service.stop()
    came: list[object] = []
    threads = [
        threading.Thread(target=lambda: came.append(rendezvous.create("y", {"host": "a"}))),
        threading.Thread(target=lambda: came.append(rendezvous.put("host.a", {"beat": 2}))),
        threading.Thread(target=lambda: came.append(len(other.read("x")))),
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert came == []
    service.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, came)) == ["1", "None", "True"]
    assert other.read() == {"x": {"host": "a"}, "y": {"host": "a"}, "host.a": {"beat": 2}}


def test_a_server_that_stays_away_is_an_error_that_passes(service, monkeypatch):
    monkeypatch.setattr("batchpredict.training.gang.calls._PATIENCE", 0.3)
    rendezvous = service.open()
    service.stop()
    try:
        with pytest.raises(OSError, match=r"^The service at http://.* does not answer: .*refused") as error:
            rendezvous.read()
        assert not isinstance(error.value, PermissionError)
    finally:
        service.start()
    assert rendezvous.read() == {}


def test_an_answer_that_does_not_come_is_not_waited_for_any_longer_than_a_lease(service, monkeypatch):
    monkeypatch.setattr("batchpredict.training.gang.calls._PATIENCE", 0.3)
    monkeypatch.setattr("batchpredict.training.gang.calls._SHORTEST_TIMEOUT", 0.1)
    rendezvous = service.open()
    service.be_slow(1.5)
    began = time.monotonic()
    with pytest.raises(OSError, match="does not answer: timed out"):
        rendezvous.create("x", {"host": "a"})
    assert time.monotonic() - began < 2


# Leases of the job ------------------------------------------------------------------------------------------------


def test_a_host_of_an_earlier_lease_can_neither_write_nor_read(service):
    earlier = service.open()
    assert earlier.create("x", {"host": "a"})
    earlier.put("host.a", {"beat": 1})
    hold_again(service)
    for call in (
        lambda: earlier.create("y", {"host": "a"}),
        lambda: earlier.create("x", {"host": "a"}),
        lambda: earlier.put("host.a", {"beat": 2}),
        lambda: earlier.read(),
    ):
        with pytest.raises(PermissionError, match="The token is not that of a job that runs"):
            call()
    # The next one goes on with what is there.
    assert service.open().read() == {"x": {"host": "a"}, "host.a": {"beat": 1}}


def test_between_two_leases_nobody_writes(service):
    rendezvous = service.open()
    service.lose()
    with pytest.raises(PermissionError):
        rendezvous.create("x", {"host": "a"})


def test_when_the_job_has_ended_nothing_is_left(service):
    rendezvous = service.open()
    rendezvous.create("x", {"host": "a"})
    service.end()
    with pytest.raises(PermissionError):
        rendezvous.read()
    database = service.store._database
    with database.engine.connect() as connection:
        for table in ("rendezvous", "rendezvous_documents"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


@pytest.mark.parametrize("token", ["token-2", "", "token-1x"])
def test_another_token_is_refused(service, token):
    with pytest.raises(PermissionError, match=r"refuses with status 40[13]"):
        ServiceRendezvous(ServiceAddress(service.url, token), "gang-001").read()


def test_the_token_of_one_job_does_not_admit_to_another_or_to_none(service):
    service.store.create_job(new_job("other", PROJECT, document={"trainingInput": {}}))
    for job in ("other", "nosuch"):
        url = service.url.replace("/jobs/j/", f"/jobs/{job}/")
        with pytest.raises(PermissionError, match="The token is not that of a job that runs") as error:
            ServiceRendezvous(ServiceAddress(url, service.token), "gang-001").read()
        assert job in str(error.value)


def test_an_address_that_is_none_of_a_service_is_said_at_once(service):
    url = service.url.replace("/internal/", "/elsewhere/")
    with pytest.raises(PermissionError, match="refuses with status 404"):
        ServiceRendezvous(ServiceAddress(url, service.token), "gang-001").read()


def test_the_token_is_not_shown():
    assert "secret" not in repr(ServiceAddress("http://h", "secret"))


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("POST", b"no json"),
        ("POST", b"[]"),
        ("POST", b'{"place": "g", "name": "x", "document": 1}'),
        ("POST", b'{"place": "g", "name": "../x", "document": {}}'),
        ("POST", b'{"place": "/g", "name": "x", "document": {}}'),
        ("PUT", b'{"place": "g", "name": "x", "document": {}}'),
        ("PUT", b'{"place": "g", "name": "x", "document": {}, "replaces": -1}'),
        ("PUT", b'{"place": "g", "name": "x", "document": {}, "replaces": true}'),
        ("POST", b'{"place": "g", "name": "x", "document": {"x": "' + b"x" * 2**18 + b'"}}'),
        ("POST", b'{"place": "g", "name": "x", "document": {"x": "' + b"x" * 2**20 + b'"}}'),
        ("POST", b'{"place":' + b"[" * 100_000),
    ],
    ids=range(11),
)
def test_what_is_no_document_is_refused(service, verb, body):
    with pytest.raises(urllib.error.HTTPError) as error:
        call(service, verb, body)
    with error.value as answer:
        assert answer.code == 400
        assert json.load(answer)["error"]["message"]
    assert service.open("g").read() == {}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer of-another-job"}], ids=["none", "another"])
def test_who_is_not_let_in_is_told_so_before_anything_is_read_of_a_body(service, headers):
    connection = HTTPConnection("127.0.0.1", urlsplit(service.url).port, timeout=5)
    with contextlib.closing(connection):
        connection.putrequest("POST", urlsplit(service.url).path)
        for name, value in {**headers, "Content-Length": "1000"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == (403 if headers else 401)
        assert (answer.headers["WWW-Authenticate"] is None) is bool(headers)


def test_a_body_that_does_not_come_is_not_waited_for(service, monkeypatch):
    monkeypatch.setattr("batchpredict.service.rest.rendezvous._PATIENCE", 0.2)
    connection = HTTPConnection("127.0.0.1", urlsplit(service.url).port, timeout=5)
    with contextlib.closing(connection):
        connection.putrequest("POST", urlsplit(service.url).path)
        connection.putheader("Authorization", f"Bearer {service.token}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"place":')
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["error"]["message"]) == (
            400,
            "The body did not arrive within 0.2 seconds.",
        )


# Gangs ------------------------------------------------------------------------------------------------------------


def test_a_gang_of_31_comes_together(service, tmp_path):
    program = "import os, time\nif os.environ['REPLICA'].startswith('ps'): time.sleep(600)"
    launcher = LocalLauncher(str(tmp_path), program)
    cluster = Cluster.of({M: 1, W: 19, P: 11})
    began = time.time()
    outcome = Gang(service.open(), cluster, "here", None, launcher).run()

    assert outcome == Outcome(Ending.SUCCEEDED)
    assert outcome_of(service.open()) == outcome
    started = launcher.started()
    assert sorted(name for name, *_ in started) == sorted(one.name for one in cluster.replicas)
    print(f"the first replica started after {min(at for *_, at in started) - began:.2f} s")
    assert min(at for *_, at in started) - began < 5


# Ends when a test says so.
WAITING = """
import os, time
while not os.path.exists(os.path.join(os.environ["HERE"], "finish")):
    time.sleep(0.02)
"""


def started(folder: object) -> int:
    """How often the master was started."""
    try:
        return len(LocalLauncher(str(folder), WAITING).started())
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(
    ("away", "restarts"),
    [pytest.param(0.6, 0, id="shorter than a lease"), pytest.param(3.5, 1, id="longer", marks=pytest.mark.long)],
)
def test_a_gang_goes_on_when_the_server_is_started_again(service, tmp_path, away, restarts):
    came: list[object] = []
    hosting = Gang(
        service.open(), Cluster.of({M: 1}), "here", None, LocalLauncher(str(tmp_path), WAITING), rules=FAST
    )
    thread = threading.Thread(target=lambda: came.append(hosting.run()))
    thread.start()
    until(lambda: started(tmp_path) == 1)
    service.stop()
    time.sleep(away)
    service.start()
    until(lambda: started(tmp_path) == 1 + restarts)
    # What was said before it went away is there, and what is said now.
    time.sleep(0.5)
    (tmp_path / "finish").touch()
    thread.join(20)
    assert came == [Outcome(Ending.SUCCEEDED, restarts=restarts)]
    assert started(tmp_path) == 1 + restarts


@pytest.mark.long
def test_a_host_of_an_earlier_lease_ends_its_replicas_and_a_later_one_finishes(service, tmp_path):
    cluster = Cluster.of({M: 1})
    came: list[object] = []

    def host(name: str) -> None:
        launcher = LocalLauncher(str(tmp_path), WAITING)
        try:
            came.append(Gang(service.open(), cluster, name, None, launcher, rules=FAST).run())
        except OSError as error:
            came.append(error)

    first = threading.Thread(target=host, args=("first",))
    first.start()
    until(lambda: started(tmp_path) == 1)
    hold_again(service)
    first.join(10)
    (error,) = came
    assert isinstance(error, PermissionError)
    second = threading.Thread(target=host, args=("second",))
    second.start()
    until(lambda: started(tmp_path) == 2)
    (tmp_path / "finish").touch()
    second.join(10)
    assert came[1] == Outcome(Ending.SUCCEEDED, restarts=1)
