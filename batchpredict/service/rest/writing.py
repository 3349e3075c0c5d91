"""From JSON values to the bytes of an answer: compact or indented, the fields that were asked for, gzip."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from batchpredict.service.rest import field_masks
from batchpredict.service.rest.calls import truth
from batchpredict.service.rest.errors import Problem, wrong

JSON = "application/json; charset=UTF-8"

# Below this gzip saves less than the headers that say so.
_WORTH_GZIP = 1_000


@dataclass(frozen=True)
class Form:
    """How an answer is to be written.

    Attributes:
      fields: of the document; None for all.
      pretty: whether it is indented.
      gzip: whether the client takes gzip.
    """

    fields: field_masks.Mask | None = None
    pretty: bool = False
    gzip: bool = False


def form(query: Mapping[str, str], accept_encoding: str) -> Form:
    """How a request wants its answer.

    Args:
      query: of the request, its global parameters among them.
      accept_encoding: the header, "" if there is none.

    Raises:
      Problem: a format that is not offered, or `fields` that are no mask.
    """
    if query.get("alt", "json") not in ("json", "", "media"):
        raise wrong("alt", f'"{query["alt"][:80]}" is not offered; answers are json.')
    mask = query.get("fields", "")
    return Form(
        field_masks.parse(mask) if mask else None,
        truth("prettyPrint", query.get("prettyPrint", "false")),
        accepts_gzip(accept_encoding),
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header allows gzip: named, and not with a weight of zero."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "").rstrip("0").rstrip(".") != "q="
    return False


def answer(
    document: Mapping[str, Any], form: Form, *, code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with a JSON document."""
    if form.fields is not None:
        document = field_masks.apply(form.fields, document)
    body = encode(document, pretty=form.pretty)
    response = Response(body, code, dict(headers or {}), JSON)
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private"
    if form.gzip and len(body) > _WORTH_GZIP:
        # Level 1: a page of a hundred jobs in under a millisecond, a tenth of its size.
        response.body = gzip.compress(body, 1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


def failure(problem: Problem, form: Form | None = None) -> Response:
    """A response with an error: whole, whatever fields were asked for."""
    form = form or Form()
    return answer(problem.body(), Form(None, form.pretty, form.gzip), code=problem.code, headers=problem.headers)


def encode(document: Mapping[str, Any], *, pretty: bool = False) -> bytes:
    """JSON text in UTF-8. Numbers of any size come out as they came in."""
    try:
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 if pretty else None)
    except TypeError:
        # orjson knows no integer past 64 bits, and an echo gives back what was sent.
        return json.dumps(document, ensure_ascii=False, indent=2 if pretty else None).encode()
