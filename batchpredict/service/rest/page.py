"""The API for a reader: `/docs`, one page without script that lists every method."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from batchpredict.service.rest.method import GLOBAL, Method, Parameter
from batchpredict.service.rest.methods import METHODS
from batchpredict.service.rest.schemas import Schema, messages

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}"
    "h3{margin-bottom:.2rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ddd}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}a{color:#9cf}td,th{border-color:#444}}"
)


def render() -> str:
    """The page, as HTML."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API of batchpredict</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield "<h1>API of batchpredict</h1><p>For machines: "
    yield '<a href="openapi.json">OpenAPI description</a>, '
    yield '<a href="$discovery/rest?version=v1">discovery document of v1</a>, '
    yield '<a href="$discovery/rest?version=v1beta1">of v1beta1</a>, <a href="metrics">metrics</a>.</p>'
    yield "<h2>Methods</h2><p>The same below <code>/v1beta1</code>; “added” is what it lacked in 2017.</p>"
    for method in METHODS:
        yield from _method(method)
    yield "<h2>Parameters of every method</h2>" + _table(GLOBAL) + "<h2>Messages</h2>"
    for name, schema in messages().items():
        yield from _message(name, schema)
    yield "</body></html>"


def _method(method: Method) -> Iterator[str]:
    added = " (added)" if method.additive else ""
    yield f'<h3 id="{method.id}">{method.id}{added}</h3><p>{escape(method.summary)}<br>'
    yield f"<code>{method.verb} /v1/{escape(method.flat)}</code>"
    if method.request:
        yield f"<br>takes {_link(method.request)}"
    yield f"<br>answers {_link(method.response)}"
    if method.permission:
        yield f"<br>needs <code>{method.permission}</code> on the {method.on}"
    yield "</p>"
    if method.query:
        yield _table(method.query)


def _table(parameters: tuple[Parameter, ...]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td><td>{one.kind}</td><td>{escape(one.description)}</td></tr>"
        for one in parameters
    )
    return f"<table><tr><th>Parameter</th><th>Type</th><th>Meaning</th></tr>{rows}</table>"


def _message(name: str, schema: Schema) -> Iterator[str]:
    yield f'<h3 id="{name}">{name}</h3><p>{escape(schema.get("description", ""))}</p>'
    rows = "".join(
        f"<tr><td><code>{field}</code></td><td>{_kind(inner)}</td></tr>"
        for field, inner in schema["properties"].items()
    )
    if rows:
        yield f"<table><tr><th>Field</th><th>Type</th></tr>{rows}</table>"


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if schema["type"] == "object":
        return f"object of {_kind(schema['additionalProperties'])}"
    if "enum" in schema:
        return ", ".join(schema["enum"])
    return escape(" ".join(str(schema[key]) for key in ("type", "format") if key in schema))


def _link(message: str) -> str:
    return f'<a href="#{message}">{message}</a>'
