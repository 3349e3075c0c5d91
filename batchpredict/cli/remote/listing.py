"""`list` of every kind of resource: pages, the limit, the order, and how a line of the table looks."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.render import print_json, print_resource, print_table, tell, value_at, value_fields
from batchpredict.launch import SUCCEEDED

# The service gives no more on one page.
_LARGEST_PAGE = 100

Resource = Mapping[str, Any]


def show(
    service: Service,
    options: argparse.Namespace,
    *,
    collection: str,
    items: str,
    name: Callable[[Resource], str],
    columns: Mapping[str, Callable[[Resource], str]],
) -> int:
    """List a collection as the flags ask for it.

    Args:
      collection: its name, "projects/p/jobs".
      items: the field of the answer that holds the page.
      name: the full name of one.
      columns: of the table, by title.
    """
    found: Sequence[Resource]
    if options.sort_by:
        # The order is of all of them, so all have to be there first.
        found = _sorted(list(_pages(service, options, collection, items)), options.sort_by)[: options.limit]
    else:
        found = list(islice(_pages(service, options, collection, items), options.limit))
    if options.uri:
        for resource in found:
            print(f"{service.endpoint}/v1/{name(resource)}")
    elif options.format == "json":
        print_json(found)
    elif value_fields(options.format):
        for resource in found:
            print_resource(resource, options.format)
    elif found:
        print_table(list(columns), [[cell(resource) for cell in columns.values()] for resource in found])
    else:
        tell("Listed 0 items.")
    return SUCCEEDED


def _pages(service: Service, options: argparse.Namespace, collection: str, items: str) -> Iterator[Resource]:
    size = options.page_size or (_LARGEST_PAGE if options.sort_by else min(options.limit or _LARGEST_PAGE, 100))
    token = None
    wanted = getattr(options, "filter", None)
    while True:
        page = service.get(collection, filter=wanted, pageSize=size, pageToken=token)
        yield from page.get(items, ())
        token = page.get("nextPageToken")
        if not token:
            return


def _sorted(found: list[Resource], fields: Sequence[str]) -> list[Resource]:
    """In the order of some fields, the first one first; a tilde before a field reverses it."""
    for field in reversed(fields):
        path = field.removeprefix("~")
        # Numbers in order of size, also an int64, which is text on the wire; what is not there comes first.
        found.sort(key=lambda resource: _key(value_at(resource, path)), reverse=field.startswith("~"))
    return found


def _key(value: Any) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    text = str(value)
    try:
        return 1, float(text), ""
    except ValueError:
        return 2, 0.0, text
