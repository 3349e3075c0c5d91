"""The flags that every command of the client has, and those of whole kinds of commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from batchpredict.cli.arguments import Parser, count, fields_list, labels
from batchpredict.cli.remote.render import value_fields

_LIMIT_TEXT = "unlimited"
_TEXT = "text"


def add_connection(parser: Parser, *formats: str) -> Parser:
    """Which service, which project, who calls, and how the answer is printed; the first format is the default."""
    group = parser.add_argument_group("the service")
    group.add_argument(
        "--project",
        metavar="ID",
        help="default: BATCHPREDICT_PROJECT or CLOUDSDK_CORE_PROJECT from the environment, else 'default'",
    )
    group.add_argument(
        "--endpoint",
        metavar="URL",
        help="default: BATCHPREDICT_ENDPOINT from the environment, else http://127.0.0.1:8080",
    )
    group.add_argument(
        "--access-token-file",
        metavar="FILE",
        help="holds the token of the caller; default: BATCHPREDICT_TOKEN from the environment",
    )
    group.add_argument("--quiet", "-q", action="store_true", help="no remarks and no progress on stderr")
    if formats:
        group.add_argument(
            "--format",
            metavar="FORMAT",
            type=_format(formats),
            default=formats[0],
            help=f"{_listed(formats)} (default: {formats[0]})",
        )
    return parser


def _format(formats: tuple[str, ...]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        if text in formats or (_TEXT not in formats and value_fields(text)):
            return text
        raise argparse.ArgumentTypeError(f"'{text}' is none of {_listed(formats)}")

    return checked


def _listed(formats: tuple[str, ...]) -> str:
    # A log is lines and not resources with fields.
    return ", ".join(formats if _TEXT in formats else (*formats, "value(FIELD,…)"))


def add_list(parser: Parser, of: str, filters: str = "") -> Parser:
    """What `list` of any kind of resource takes.

    Args:
      of: which kind.
      filters: examples, where the service filters it.
    """
    if filters:
        parser.add_argument("--filter", metavar="EXPRESSION", help=f"only {of} that it fits: {filters}")
    parser.add_argument("--limit", metavar="N", type=limit, help="at most so many (default: all)")
    parser.add_argument("--page-size", metavar="N", type=count, help="so many in one answer of the service")
    parser.add_argument(
        "--sort-by",
        metavar="FIELD,…",
        type=fields_list,
        help="order by fields such as createTime; ~createTime for the other way round",
    )
    parser.add_argument("--uri", action="store_true", help="print the URL of each, instead of a table")
    return add_connection(parser, "table", "json")


def add_labels(parser: Parser) -> None:
    """What `update` of any kind of resource takes."""
    parser.add_argument("--update-labels", metavar="KEY=VALUE,…", type=labels, help="set these labels")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--remove-labels", metavar="KEY,…", type=fields_list, help="remove these labels")
    which.add_argument("--clear-labels", action="store_true", help="remove all labels that are not updated")


def add_policies(parser: Parser, argument: str) -> None:
    """The commands about the IAM policy of a kind of resource."""
    one = argument.lower()
    place = "resource"
    get = parser.add_command("get-iam-policy", f"who may do what with a {one}")
    get.add_argument(place, metavar=argument)
    add_connection(get, "json")
    put = parser.add_command(
        "set-iam-policy",
        f"replace who may do what with a {one}",
        f"Replace the IAM policy of a {one} by the one in a file. If the file has an etag, as get-iam-policy\n"
        "printed it, and somebody changed the policy since, nothing is replaced.",
    )
    put.add_argument(place, metavar=argument)
    put.add_argument("policy_file", metavar="POLICY_FILE", help="JSON or YAML; - for stdin")
    add_connection(put, "json")
    for name, help in (
        ("add-iam-policy-binding", f"let a member have a role on a {one}"),
        ("remove-iam-policy-binding", f"take a role on a {one} from a member"),
    ):
        binding = parser.add_command(name, help)
        binding.add_argument(place, metavar=argument)
        binding.add_argument("--member", metavar="MEMBER", required=True, help="user:ann@example.org, allUsers, …")
        binding.add_argument("--role", metavar="ROLE", required=True, help="roles/ml.viewer, …")
        add_connection(binding, "json")


def limit(text: str) -> int | None:
    """A positive number, or gcloud's word for none."""
    return None if text == _LIMIT_TEXT else count(text)


def is_update(options: argparse.Namespace) -> bool:
    """Whether an update says anything about labels."""
    return bool(options.update_labels or options.remove_labels or options.clear_labels)
