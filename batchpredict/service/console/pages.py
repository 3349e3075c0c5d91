"""What every page has in common: its route, its headers, its templates, and how its errors look."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

import jinja2
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.errors import InvalidName, Violation
from batchpredict.service.access.interface import Hidden
from batchpredict.service.console import figures, sessions
from batchpredict.service.console.sessions import HOME, Refused, Visitor
from batchpredict.service.rest.bodies import MAX_BODY
from batchpredict.service.rest.errors import BAD_REQUEST, Problem, problem
from batchpredict.service.store.interface import Missing

MAX_FORM = 3 * MAX_BODY
"""Bytes of a form: as much as a job may have, where each sign of JSON that is not a letter takes three."""

_MAX_FIELDS = 100

# No script, style or frame but our own files; nothing is inline, so whatever slips through escaping does nothing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PRIVATE = {"Cache-Control": "no-store"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

_HEADINGS = {
    401: "Sign in",
    403: "Not permitted",
    404: "Not found",
    500: "Something went wrong",
    503: "The service cannot answer now",
}

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Page(APIRoute):
    """A route whose errors are pages, and whose answers carry the headers of private pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except HTTPException:
                raise
            except Exception as error:
                response = refusal(request, error)
            sessions.remember_key(request, response)
            for name, value in {**_HEADERS, **_PRIVATE}.items():
                response.headers.setdefault(name, value)
            return response

        return answer


def refusal(request: Request, error: Exception) -> Response:
    """The page for an error that ends a request: its status and its words are those of the API."""
    if isinstance(error, Refused):
        status, message = 403, str(error)
    elif isinstance(error, (Missing, Hidden, InvalidName)):
        # What is not there and what the caller may not know of look the same.
        status, message = 404, "There is nothing by this name, or you may not see it."
    else:
        found = problem(error, request.url.path.removeprefix(f"{HOME}/"))
        violations = violations_of(found)
        status, message = found.code, " ".join(one.description for one in violations) or found.message
    if status == 401 and request.method in ("GET", "HEAD") and not is_fragment(request):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{HOME}/sign-in?next={quote(path, safe='')}", 303)
    heading = _HEADINGS.get(status, "This cannot be done")
    return page(None, "refusal.html", status=status, heading=heading, message=message)


def violations_of(error: Exception) -> Sequence[Violation]:
    """The fields that an error of the API's methods is about, however it carries them; none if it names none."""
    if isinstance(error, Problem):
        return [
            Violation(one.get("field", ""), one["description"])
            for detail in error.details
            if detail.get("@type") == BAD_REQUEST
            for one in detail["fieldViolations"]
        ]
    found: Sequence[Violation] = getattr(error, "violations", ())
    return found


def is_fragment(request: Request) -> bool:
    """Whether the script asks for a part of a page, which it can do nothing with but show."""
    return request.headers.get("x-requested-with") == "console"


def page(visitor: Visitor | None, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page from its template."""
    text = _ENVIRONMENT.get_template(template).render(visitor=visitor, **values)
    # An instance may hold half of a surrogate pair, which no encoding has.
    return Response(text.encode("utf-8", "backslashreplace"), status, media_type="text/html; charset=utf-8")


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, each once, as a dependency of a route.

    Raises:
      Refused: it is not a form, or larger than `MAX_FORM`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused("This is not a form of this service.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            raise Refused(f"A form may have {MAX_FORM} bytes.")
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise Refused("This is not a form of this service.") from None
    return dict(fields)


Fields = Annotated[dict[str, str], Depends(form)]
"""What a route takes that a form is sent to."""


@dataclass(frozen=True)
class Asset:
    """A file of the console's own: its name, its address, which changes with its content, and its bytes."""

    name: str
    url: str
    data: bytes

    def response(self) -> Response:
        kind = _TYPES[self.name.rpartition(".")[2]]
        return Response(self.data, media_type=kind, headers={**_FOR_EVER})


def _assets() -> Mapping[str, Asset]:
    found = {}
    for file in (resources.files("batchpredict.service.console") / "static").iterdir():
        if file.name.rpartition(".")[2] in _TYPES:
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:12]
            found[file.name] = Asset(file.name, f"{HOME}/static/{digest}/{file.name}", data)
    return found


ASSETS = _assets()

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: object) -> str:
    """Text of others with what cannot be seen, or turns the order of characters around, written out."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def segment(text: object) -> str:
    """Text as one segment of a path, or as a value of a query."""
    return quote(str(text), safe="")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("batchpredict.service.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=visible,
        segment=segment,
        grouped=figures.grouped,
        duration=figures.duration,
        instant=figures.instant,
        iso=figures.iso,
    )
    environment.globals.update(home=HOME, asset=lambda name: ASSETS[name].url)
    return environment


_ENVIRONMENT = _environment()
