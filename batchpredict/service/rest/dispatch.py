"""From a request to the method that it calls, and back: reads it, finds the caller, runs the method in a thread,
writes what it answers or raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from batchpredict.service.access.interface import Access, Caller
from batchpredict.service.measures import Measures
from batchpredict.service.rest.bodies import MAX_BODY, decompressed, in_time, read, too_large
from batchpredict.service.rest.calls import Answer, Call, check_names, read_query, resource_of
from batchpredict.service.rest.errors import no_such_method, problem, wrong
from batchpredict.service.rest.method import Method
from batchpredict.service.rest.writing import Form, answer, failure, form

_log = logging.getLogger(__name__)

Run = Callable[[Call], Answer | Response]
"""What a method does, in a thread. It may raise whatever `errors.problem` knows."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers a request; it raises nothing that was foreseen."""

Table = Mapping[str, tuple[Method, Run]]
"""The methods of one path, by verb."""

# A request from a file upload gone wrong is read to its end and refused, so that its sender sees why.
_DRAINED = 16 * MAX_BODY
# The body of somebody who is not known is not kept in memory, unless it is as small as that of any job.
_SMALL = 64 * 2**10
# Seconds that a body may take to arrive.
_PATIENCE = 60.0

# How violations of a body's bounds name the whole of it.
_ROOTS = {"Job": "job", "Model": "model", "Version": "version", "Watch": "watch"}


def endpoint(version: str, table: Table, access: Access, measures: Measures) -> Endpoint:
    """The endpoint of one path of the API. `version`: "v1" or "v1beta1"."""

    async def respond(request: Request) -> Response:
        method, run = table["GET" if request.method == "HEAD" else request.method]
        began = time.perf_counter()
        measures.begun()
        response: Response | None = None
        try:
            response = await _respond(request, version, method, run, access)
        finally:
            measures.ended()
            code = 499 if response is None else response.status_code
            measures.request(method.id, code, time.perf_counter() - began)
        return response

    return respond


async def _respond(request: Request, version: str, method: Method, run: Run, access: Access) -> Response:
    names: dict[str, str] = request.path_params
    caller: Caller | None = None
    try:
        check_names(method, names)
        # A slash that was encoded to hide in an id, which a proxy may see otherwise than we do.
        raw = request.scope.get("raw_path", b"").lower()
        if b"%2f" in raw or b"%5c" in raw:
            raise no_such_method(request.url.path)
        body = b""
        if method.request or "content-length" in request.headers or "transfer-encoding" in request.headers:
            if not _is_small(request):
                caller = await run_in_threadpool(_caller, access, request)
            body = await _body(request)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception as error:
        return failure(problem(error, resource_of(method, names)))
    return await run_in_threadpool(_run, request, version, method, run, access, caller, body)


def _run(
    request: Request, version: str, method: Method, run: Run, access: Access, caller: Caller | None, body: bytes
) -> Response:
    names: dict[str, str] = request.path_params
    headers = request.headers
    shape = Form()
    try:
        shape = form(request.query_params, headers.get("accept-encoding", ""))
        if caller is None:
            caller = _caller(access, request)
        query = read_query(method, request.query_params.multi_items())
        body = decompressed(body, headers.get("content-encoding", "").strip().lower())
        if body and not method.request:
            raise wrong("", "This method takes no body.")
        document = read(body, headers.get("content-type", ""), _ROOTS.get(method.request, ""))
        result = run(Call(method, caller, names, query, document))
    except Exception as error:
        return failure(problem(error, resource_of(method, names)), shape)
    if isinstance(result, Response):
        return result
    created = {"Location": f"/{version}/{result.created}"} if result.created else None
    return answer(result.document, shape, headers=created)


def _caller(access: Access, request: Request) -> Caller:
    return access.caller(request.headers, request.query_params)


def _is_small(request: Request) -> bool:
    declared = request.headers.get("content-length", "")
    return declared.isdigit() and int(declared) <= _SMALL


async def _body(request: Request) -> bytes:
    """The bytes of the body, at most MAX_BODY of them.

    Raises:
      Problem: it has more, or takes too long.
      ClientDisconnect.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > _DRAINED:
        raise too_large()
    chunks, size = [], 0
    async with in_time(_PATIENCE):
        async for chunk in request.stream():
            size += len(chunk)
            if size <= MAX_BODY:
                chunks.append(chunk)
            elif size > _DRAINED:
                break
    if size > MAX_BODY:
        raise too_large()
    return b"".join(chunks)
