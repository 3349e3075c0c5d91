"""The rendezvous of a training job, for the hosts of its replicas: what `training.gang.service` calls.

    GET   /internal/v1/projects/P/jobs/J/rendezvous?place=…&since=N
          {"documents": [{"name", "number", "document"}, …], "more"}
    POST  {"place", "name", "document"}               {"created"}
    PUT   {"place", "name", "document", "replaces"}   {"written", "number"}

It is no method of the API: no description has it, and no role allows it. A caller has the token of this job, which
the worker that runs the job has made for it. Whoever has another one is told the same as whoever asks for a job
that there is not, before anything of a body is read.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from batchpredict.service.measures import Measures
from batchpredict.service.rest.bodies import in_time
from batchpredict.service.rest.errors import Problem, problem, wrong
from batchpredict.service.store.interface import Store
from batchpredict.service.store.rendezvous import LONGEST_DOCUMENT, Visitor

PATH = "/internal/v1/projects/{project}/jobs/{job}/rendezvous"

# A document as JSON may come in other words than it is kept in: without escapes, or with more of them.
_LONGEST_BODY = 2 * LONGEST_DOCUMENT
# Seconds that a body may take to arrive: as long as a host waits for an answer.
_PATIENCE = 10.0
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,199}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def routes(store: Store, measures: Measures) -> list[Route]:
    """The routes of the rendezvous, for an application that serves the API."""

    async def respond(request: Request) -> Response:
        began = time.perf_counter()
        measures.begun()
        code = 499
        try:
            try:
                visitor = _visitor(request)
                body = b""
                if request.method in _WRITES:
                    await run_in_threadpool(store.check_visitor, visitor)
                    body = await _body(request)
                code, text = 200, await run_in_threadpool(_do, store, visitor, request, body)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:
                found = problem(error, "rendezvous")
                code, text = found.code, _text_of(found.body())
                return Response(text, code, headers=found.headers, media_type="application/json")
            return Response(text, code, media_type="application/json")
        finally:
            measures.ended()
            measures.request("internal.rendezvous", code, time.perf_counter() - began)

    return [Route(PATH, respond, methods=list(_VERBS))]


async def _body(request: Request) -> bytes:
    """The bytes of the body, at most _LONGEST_BODY of them.

    Raises:
      Problem: it has more, or takes too long.
      ClientDisconnect.
    """
    chunks, size = [], 0
    async with in_time(_PATIENCE):
        async for chunk in request.stream():
            size += len(chunk)
            if size > _LONGEST_BODY:
                raise wrong("", f"Request payload size exceeds the limit: {_LONGEST_BODY} bytes.")
            chunks.append(chunk)
    return b"".join(chunks)


def _visitor(request: Request) -> Visitor:
    """Whoever comes. Raises Problem: without a token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        headers = {"WWW-Authenticate": 'Bearer realm="batchpredict"'}
        raise Problem(401, "UNAUTHENTICATED", "The token of a job is needed.", headers=headers)
    digest = hashlib.sha256(token.strip().encode()).hexdigest()
    return Visitor(request.path_params["project"], request.path_params["job"], digest)


def _do(store: Store, visitor: Visitor, request: Request, body: bytes) -> str:
    """What is answered: encoded here, in a thread, as a page of documents may have megabytes."""
    # A HEAD is a GET to Starlette.
    return _text_of(_VERBS.get(request.method, _read)(store, visitor, request, body))


def _text_of(document: Mapping[str, Any]) -> str:
    # Not as the API writes JSON: a line of a program may hold half a character, which only an escape says.
    return json.dumps(document)


def _read(store: Store, visitor: Visitor, request: Request, body: bytes) -> dict[str, Any]:
    del body
    since = request.query_params.get("since", "0")
    if not _NUMBER.fullmatch(since):
        raise wrong("since", "Expected a number.")
    place = _text(request.query_params, "place", _PLACE)
    found, more = store.documents(visitor, place, since=int(since))
    documents = [{"name": one.name, "number": one.number, "document": one.document} for one in found]
    return {"documents": documents, "more": more}


def _create(store: Store, visitor: Visitor, request: Request, body: bytes) -> dict[str, Any]:
    del request
    given = _given(body)
    place, name = _text(given, "place", _PLACE), _text(given, "name", _NAME)
    return {"created": store.create_document(visitor, place, name, given["document"])}


def _put(store: Store, visitor: Visitor, request: Request, body: bytes) -> dict[str, Any]:
    del request
    given = _given(body)
    place, name, replaces = _text(given, "place", _PLACE), _text(given, "name", _NAME), given.get("replaces")
    if not isinstance(replaces, int) or isinstance(replaces, bool) or not 0 <= replaces < 2**63:
        raise wrong("replaces", "Expected a number.")
    put = store.put_document(visitor, place, name, given["document"], replaces)
    return {"written": put.written, "number": put.number}


_WRITES = frozenset(("POST", "PUT"))
_VERBS: dict[str, Callable[[Store, Visitor, Request, bytes], dict[str, Any]]] = {
    "GET": _read,
    "POST": _create,
    "PUT": _put,
}


def _given(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise wrong("", "Expected a JSON object.")
    if not isinstance(given.get("document"), dict):
        raise wrong("document", "Expected a JSON object.")
    return given


def _text(given: Mapping[str, Any], field: str, pattern: re.Pattern[str]) -> str:
    found = given.get(field)
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise wrong(field, f"Expected a text like {pattern.pattern}.")
    return found
