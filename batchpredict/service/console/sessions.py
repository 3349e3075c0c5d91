"""Who looks at the console: a token in a cookie or a header, and how a form proves that it is one of ours.

The cookie holds the caller's own token, so a page is served under the same rules as a call of the API, and there is
no session that a server would have to remember: any API process answers any page. It is HttpOnly (no script reads
it), SameSite=Strict (no other site sends it), and only pages below /console get it: the API does not know it.

A form is accepted if the browser says that one of our own pages sent it, and if it carries a token that only such a
page could hold: an HMAC of the caller's credential under a random key in a cookie of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from batchpredict.errors import BatchPredictError
from batchpredict.service.access.interface import Access, Caller, Unauthenticated

HOME = "/console"

MAX_TOKEN = 3800
"""Characters of a token: browsers keep cookies of 4096 bytes, name and attributes included."""

_TOKEN = "batchpredict-token"
_KEY = "batchpredict-form"


class Refused(BatchPredictError):
    """A request that did not come from one of our own pages: 403."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page.

    Attributes:
      caller: who it is to the access rules.
      signed_in: by the cookie of the sign-in page, so that there is something to sign out of.
      form_token: what each form of the page carries.
    """

    caller: Caller
    signed_in: bool
    form_token: str


def visitor(access: Access, request: Request) -> Visitor:
    """Who sends a request.

    Raises:
      Unauthenticated, Forbidden: as `Access.caller`.
    """
    header = request.headers.get("authorization", "")
    token = request.cookies.get(_name(request, _TOKEN), "")
    signed_in = bool(token) and not header
    headers = dict(request.headers)
    if signed_in:
        headers["authorization"] = f"Bearer {token}"
    caller = access.caller(headers)
    return Visitor(caller, signed_in, form_token(request, header or token))


def form_token(request: Request, credential: str = "") -> str:
    """The token of a request's forms; the key behind it is kept by `remember_key`."""
    key = request.cookies.get(_name(request, _KEY)) or request.scope.get(_KEY)
    if not key:
        key = secrets.token_urlsafe(32)
        request.scope[_KEY] = key
    return hmac.new(key.encode(), credential.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def remember_key(request: Request, response: Response) -> None:
    """Give the browser the key that `form_token` has made, if it has made one."""
    key = request.scope.get(_KEY)
    if key:
        _set(request, response, _KEY, key)


def check_form(request: Request, fields: Mapping[str, str], credential: str | None = None) -> None:
    """See that a form was sent by one of our own pages.

    Args:
      credential: what its token is bound to; None for what the request carries.

    Raises:
      Refused: it was not, or the page that it was on is older than the sign-in.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        # Browsers that do not send the first do send this one with every form.
        own = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not own:
        raise Refused("This form was not sent by a page of this service.")
    if credential is None:
        credential = request.headers.get("authorization") or request.cookies.get(_name(request, _TOKEN), "")
    expected = form_token(request, credential) if _name(request, _KEY) in request.cookies else ""
    given = fields.get("form_token", "").encode("utf-8", "replace")
    if not expected or not hmac.compare_digest(expected.encode(), given):
        raise Refused(
            "This form is of another session, or cookies are off. Go back, reload the page, and send it again."
        )


def sign_in(access: Access, request: Request, response: Response, token: str) -> None:
    """Put a token that is known into the cookie. Raises Unauthenticated."""
    if not token or len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthenticated("This is not a token.")
    access.caller({"authorization": f"Bearer {token}", "host": request.headers.get("host", "")})
    _set(request, response, _TOKEN, token)


def sign_out(request: Request, response: Response) -> None:
    for name in (_TOKEN, _KEY):
        response.delete_cookie(
            _name(request, name), path=HOME, secure=_tls(request), httponly=True, samesite="strict"
        )


def _set(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        _name(request, name), value, path=HOME, secure=_tls(request), httponly=True, samesite="strict"
    )


def _name(request: Request, name: str) -> str:
    # Under this prefix a browser takes a cookie over TLS only, so nobody on the way can plant one.
    return f"__Secure-{name}" if _tls(request) else name


def _tls(request: Request) -> bool:
    return request.url.scheme == "https"
