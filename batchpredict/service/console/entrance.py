"""Signing in and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batchpredict.service.access.interface import Access, Unauthenticated
from batchpredict.service.console import sessions
from batchpredict.service.console.pages import Fields, page
from batchpredict.service.console.sessions import HOME


class Entrance:
    def __init__(self, access: Access) -> None:
        self._access = access

    def ask(self, request: Request) -> Response:
        """The sign-in page. Who is let in without a token is sent on."""
        then = local_target(request.query_params.get("next", ""))
        try:
            seen = sessions.visitor(self._access, request)
        except Unauthenticated:
            seen = None
        token = sessions.form_token(request)
        return page(seen, "sign_in.html", form_token=token, then=then, fault="")

    def enter(self, request: Request, fields: Fields) -> Response:
        then = local_target(fields.get("next", ""))
        sessions.check_form(request, fields, credential="")
        response = RedirectResponse(then, 303)
        try:
            sessions.sign_in(self._access, request, response, fields.get("token", "").strip())
        except Unauthenticated:
            fault = "Nobody is known by this token, or it has expired."
            token = sessions.form_token(request)
            return page(None, "sign_in.html", status=401, form_token=token, then=then, fault=fault)
        return response

    def leave(self, request: Request, fields: Fields) -> Response:
        sessions.check_form(request, fields)
        response = RedirectResponse(f"{HOME}/sign-in", 303)
        sessions.sign_out(request, response)
        return response


def local_target(text: str) -> str:
    """A page of the console to go on to; its first one if `text` is anything else."""
    plain = text.isascii() and text.isprintable() and "\\" not in text and ".." not in text
    own = text == HOME or text.startswith((f"{HOME}/", f"{HOME}?"))
    return text if plain and own and not text.startswith(f"{HOME}/sign-in") else HOME
