"""What every list call has: a filter, a page size, a page token, and a page as the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpredict.service.filters import Fields, Filter, parse
from batchpredict.service.rest import paging
from batchpredict.service.rest.calls import Answer, Call


@dataclass(frozen=True)
class Listing:
    """What a call wants to see.

    Attributes:
      collection: full name: "projects/p/jobs".
      filter: as it was given.
      where: the same as a tree; None for everything.
      size: most items.
      position: where the page begins, as the store counts; None for the first one.
    """

    collection: str
    filter: str
    where: Filter | None
    size: int
    position: int | None

    def page(self, items: Sequence[Mapping[str, Any]], following: int | None) -> Answer:
        """The answer. An empty list is an empty object, and the last page has no token, as in proto3 JSON."""
        name = self.collection.rpartition("/")[2]
        document: dict[str, Any] = {name: list(items)} if items else {}
        token = paging.token(following, self.collection, self.filter)
        if token:
            document["nextPageToken"] = token
        return Answer(document)


def listing(call: Call, name: str, fields: Fields) -> Listing:
    """What a list call asks for.

    Args:
      name: of the collection below the resource of the call: "jobs".
      fields: that its filter may use.

    Raises:
      FilterInvalid, Problem.
    """
    text = call.query.get("filter", "")
    collection = f"{call.resource}/{name}"
    return Listing(
        collection,
        text,
        parse(text, fields),
        paging.size(call.query.get("pageSize")),
        paging.position(call.query.get("pageToken", ""), collection, text),
    )
