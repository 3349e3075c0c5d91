"""What is served beside the API: health, metrics, and descriptions for machines and readers. Nobody is asked for a
token here: a load balancer, Prometheus and a client library that builds itself have none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

import batchpredict
from batchpredict.service.measures import CONTENT_TYPE, Measures
from batchpredict.service.rest import discovery, openapi, page
from batchpredict.service.rest.errors import Problem, wrong
from batchpredict.service.rest.method import VERSIONS
from batchpredict.service.rest.writing import Form, accepts_gzip, answer, failure
from batchpredict.service.store.interface import Store, StoreFailed

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def routes(store: Store, measures: Measures, stopping: threading.Event) -> list[Route]:
    """/healthz, /readyz, /metrics, /openapi.json, /docs and /$discovery/rest."""

    def alive(request: Request) -> Response:
        del request
        return answer({"status": "ok"}, Form())

    def ready(request: Request) -> Response:
        """Whether requests can be answered: the database has its schema, and the service is not about to end."""
        del request
        if stopping.is_set():
            return failure(Problem(503, "UNAVAILABLE", "The service is about to end."))
        try:
            store.ready()
        except StoreFailed as error:
            return failure(Problem(503, "UNAVAILABLE", str(error)))
        return answer({"status": "ok"}, Form())

    def metrics(request: Request) -> Response:
        del request
        return Response(measures.text(), media_type=CONTENT_TYPE)

    served: dict[str, Callable[[Request], Response]] = {
        "/healthz": alive,
        "/readyz": ready,
        "/metrics": metrics,
        "/openapi.json": _openapi,
        "/$discovery/rest": _discovery,
        "/docs": _docs,
    }
    return [Route(path, endpoint) for path, endpoint in served.items()]


def _form(request: Request) -> Form:
    return Form(gzip=accepts_gzip(request.headers.get("accept-encoding", "")))


def _openapi(request: Request) -> Response:
    return answer(openapi.describe(batchpredict.__version__), _form(request))


def _discovery(request: Request) -> Response:
    version = request.query_params.get("version", "v1")
    if version not in VERSIONS:
        return failure(wrong("version", f'Expected one of {", ".join(VERSIONS)}, got "{version[:80]}".'))
    return answer(discovery.describe(version, str(request.base_url)), _form(request))


def _docs(request: Request) -> Response:
    del request
    return HTMLResponse(page.render(), headers=_PAGE_HEADERS)
