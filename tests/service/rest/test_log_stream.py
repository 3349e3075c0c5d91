"""The log of a job over HTTP: as it is, and as it grows."""

from __future__ import annotations

import threading

import httpx
import pytest
from service.rest_support import JOBS, error_of, lines


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


def test_the_log_as_it_is(client, world):
    client.post(JOBS, json=world.job("told"))
    assert client.get(f"{JOBS}/told:logs").text == ""
    world.run("told", log=["one", "two", "three"])
    response = client.get(f"{JOBS}/told:logs")
    assert response.headers["content-type"] == "application/x-ndjson; charset=UTF-8"
    entries = lines(response.text)
    assert [entry["message"] for entry in entries] == ["one", "two", "three"]
    assert set(entries[0]) == {"number", "timestamp", "severity", "task", "message"}
    assert (entries[0]["severity"], entries[0]["task"]) == ("INFO", "service")
    later = client.get(f"{JOBS}/told:logs", params={"after": entries[1]["number"]})
    assert [entry["message"] for entry in lines(later.text)] == ["three"]


def test_it_is_followed_until_the_job_has_ended(client, world):
    client.post(JOBS, json=world.job("grows"))
    generation = world.run("grows", log=["first"])
    seen = []
    with client.stream("GET", f"{JOBS}/grows:logs?follow=true") as response:
        for text in response.iter_lines():
            seen += [entry["message"] for entry in lines(text)]
            if seen == ["first"]:
                world.say("grows", generation, "second", "third")
            elif seen[-1:] == ["third"]:
                world.say("grows", generation, "last")
                world.end("grows", generation, {})
    assert seen == ["first", "second", "third", "last"]


def test_a_log_longer_than_a_page_of_the_store_is_given_whole(client, world):
    client.post(JOBS, json=world.job("long"))
    generation = world.run("long")
    world.say("long", generation, *(f"line {number}" for number in range(2_500)))
    for follow in ("false", "true"):
        if follow == "true":
            world.end("long", generation, {})
        response = client.get(f"{JOBS}/long:logs", params={"follow": follow})
        assert [entry["message"] for entry in lines(response.text)] == [f"line {number}" for number in range(2_500)]


def test_whoever_goes_away_is_no_longer_served(client, world):
    client.post(JOBS, json=world.job("left"))
    world.run("left", log=["first"])
    with client.stream("GET", f"{JOBS}/left:logs?follow=true") as response:
        next(response.iter_lines())
    # The connection is closed in the middle of the stream; the next one is served as if nothing was.
    assert client.get(f"{JOBS}/left").status_code == 200


def test_a_service_that_ends_ends_its_streams(world):
    with httpx.Client(base_url=world.url, timeout=60) as client:
        client.post(JOBS, json=world.job("halted"))
        world.run("halted", log=["first"])
        with client.stream("GET", f"{JOBS}/halted:logs?follow=true") as response:
            incoming = response.iter_lines()
            assert "first" in next(incoming)
            threading.Timer(0.1, world.stopping.set).start()
            assert [*incoming] == []
        world.stopping.clear()


def test_a_job_that_is_not_there(client):
    assert error_of(client.get(f"{JOBS}/nothing:logs?follow=true"))["code"] == 404


@pytest.mark.parametrize("query", ["follow=maybe", "after=x"])
def test_parameters_that_are_wrong(client, query):
    assert error_of(client.get(f"{JOBS}/nothing:logs?{query}"))["code"] == 400
