"""Pages of lists: their tokens lead on, whatever is created meanwhile, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service.rest_support import JOBS, error_of

from batchpredict.service.rest import paging
from batchpredict.service.rest.errors import Problem

_texts = st.text(max_size=30)


@pytest.fixture
def client(world):
    with world.client() as made:
        yield made


@given(position=st.integers(-(2**63), 2**63 - 1), collection=_texts, filter=_texts)
def test_a_token_leads_back_to_where_it_was_made(position, collection, filter):
    token = paging.token(position, collection, filter)
    assert token.isascii()
    assert set(token).isdisjoint("=/+ ")
    assert paging.position(token, collection, filter) == position


@given(text=st.text(min_size=1, max_size=60) | st.binary(min_size=1, max_size=40).map(lambda raw: raw.hex()))
def test_what_is_no_token_is_refused(text):
    with pytest.raises(Problem, match="Field: page_token Error:"):
        paging.position(text, "projects/p/jobs", "")


@given(position=st.integers(0, 2**40), collection=_texts, filter=_texts, other=_texts)
def test_a_token_of_another_list_is_refused(position, collection, filter, other):
    token = paging.token(position, collection, filter)
    for wrong in ((collection, filter + "x"), (collection + "x", filter)):
        with pytest.raises(Problem, match="another filter or parent"):
            paging.position(token, *wrong)


@pytest.mark.parametrize(("given", "size"), [(None, 20), (0, 20), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
def test_a_page_has_20_items_and_at_most_100(given, size):
    assert paging.size(given) == size


def test_jobs_created_meanwhile_are_on_no_later_page(client, world):
    for number in range(7):
        client.post(JOBS, json=world.job(f"page_{number}"))
    seen, token = [], ""
    while True:
        page = client.get(JOBS, params={"pageSize": 3, "pageToken": token, "filter": "jobId:page_*"}).json()
        seen.append([job["jobId"] for job in page["jobs"]])
        token = page.get("nextPageToken", "")
        if not token:
            break
        client.post(JOBS, json=world.job(f"page_late_{len(seen)}"))
    assert seen == [["page_6", "page_5", "page_4"], ["page_3", "page_2", "page_1"], ["page_0"]]


def test_the_last_page_has_no_token_also_if_it_is_full(client, world):
    for number in range(4):
        client.post(JOBS, json=world.job(f"full_{number}"))
    first = client.get(JOBS, params={"pageSize": 2, "filter": "jobId:full_*"}).json()
    last = client.get(
        JOBS, params={"pageSize": 2, "filter": "jobId:full_*", "pageToken": first["nextPageToken"]}
    ).json()
    assert len(last["jobs"]) == 2
    assert "nextPageToken" not in last


def test_a_token_is_bound_to_its_filter_and_parent(client, world):
    for number in range(3):
        client.post(JOBS, json=world.job(f"bound_{number}"))
    query = {"pageSize": 1, "filter": "jobId:bound_*"}
    token = client.get(JOBS, params=query).json()["nextPageToken"]
    assert client.get(JOBS, params={**query, "pageToken": token}).status_code == 200
    # A page may have another size than the one before.
    assert client.get(JOBS, params={**query, "pageSize": 50, "pageToken": token}).status_code == 200
    for path, changed in ((JOBS, {"filter": "state=QUEUED"}), ("/v1/projects/other/jobs", {})):
        error = error_of(client.get(path, params={**query, "pageToken": token, **changed}))
        assert "another filter or parent" in error["message"]


def test_an_empty_list_is_an_empty_object(client):
    for path in ("jobs", "models", "operations"):
        response = client.get(f"/v1/projects/nobody/{path}")
        assert (response.status_code, response.text) == (200, "{}")
