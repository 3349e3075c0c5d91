"""The methods of watches, all of them additive: see `job.watch` for why they are a resource of their own."""

from __future__ import annotations

from batchpredict.service.rest.method import PAGES, Method, Parameter

_WATCH = "{name=projects/*/watches/*}"

WATCHES: tuple[Method, ...] = (
    Method(
        "projects.watches.create",
        "POST",
        "{parent=projects/*}/watches",
        "Creates a watch, which scores files as they arrive.",
        "Watch",
        request="Watch",
        permission="ml.watches.create",
        query=(Parameter("validateOnly", "boolean", "Check the watch as a create would, and create nothing."),),
        statuses=(409, 429),
        additive=True,
    ),
    Method(
        "projects.watches.list",
        "GET",
        "{parent=projects/*}/watches",
        "The watches of a project, newest first.",
        "ListWatchesResponse",
        permission="ml.watches.list",
        query=PAGES,
        additive=True,
    ),
    Method(
        "projects.watches.get",
        "GET",
        _WATCH,
        "Describes a watch.",
        "Watch",
        permission="ml.watches.get",
        on="watch",
        additive=True,
    ),
    Method(
        "projects.watches.delete",
        "DELETE",
        _WATCH,
        "Deletes a watch; its jobs and results stay.",
        "Empty",
        permission="ml.watches.delete",
        on="watch",
        additive=True,
    ),
    *(
        Method(
            f"projects.watches.{verb}",
            "POST",
            f"{_WATCH}:{verb}",
            summary,
            "Watch",
            request="WatchRequest",
            permission="ml.watches.update",
            on="watch",
            additive=True,
        )
        for verb, summary in (
            ("pause", "Lets a watch begin no further epoch; the job that is under way comes to its end."),
            ("resume", "Lets a watch that was paused go on."),
            ("retry", "Has a watch take up the epochs that were set aside."),
        )
    ),
    Method(
        "projects.watches.epochs",
        "GET",
        f"{_WATCH}/epochs",
        "The epochs of a watch, newest first, each with its job.",
        "ListEpochsResponse",
        permission="ml.watches.get",
        on="watch",
        query=PAGES,
        additive=True,
    ),
)
