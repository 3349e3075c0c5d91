"""The commands about watches and what they take: a job's flags as `jobs submit` has them, a watch's as `watch`."""

from __future__ import annotations

from batchpredict.cli.arguments import EPILOG, Parser, labels
from batchpredict.cli.flags import add_job
from batchpredict.cli.remote.connection_flags import add_connection, add_list
from batchpredict.cli.watch_flags import add_watching

_WATCHES = """\
Watches of the jobs service: each scores files as they arrive, in epochs, and every epoch is a job of the project.

'batchpredict watch' does the same without a service.
"""
_CREATE = """\
Have the service score files as they arrive, with a SavedModel.

The watch is described by flags, by a file with its fields (predictionInput, every, settle, …), or by both: a flag
overrides the field of its name. A path that is relative is taken from the working directory of this command.
Prints the Watch.
"""
_FILE = "a Watch resource, as YAML or JSON; - for stdin"
_ID = "id of the watch: letters, digits and _, unique in its project"


def add(parser: Parser) -> None:
    """`batchpredict watches …`"""
    watches = parser.add_command("watches", "watches of the jobs service: files that keep arriving", _WATCHES)
    _add_create(
        watches.add_command("create", "have the service score files as they arrive", _CREATE, epilog=EPILOG)
    )
    add_list(watches.add_command("list", "watches of a project, the newest first"), "watches")
    epochs = watches.add_command("epochs", "epochs of a watch with their jobs, the newest first")
    epochs.add_argument("watch", metavar="WATCH")
    add_list(epochs, "epochs")
    for name, help in (
        ("describe", "print a watch as JSON"),
        ("pause", "begin no further epoch; the job that is under way comes to its end"),
        ("resume", "let a watch that was paused go on"),
        ("retry", "take up the epochs that were set aside"),
        ("delete", "delete a watch; its jobs and results stay"),
    ):
        command = watches.add_command(name, help)
        command.add_argument("watch", metavar="WATCH")
        add_connection(command, "json")


def _add_create(parser: Parser) -> None:
    parser.add_argument("watch", metavar="WATCH", help=_ID)
    add_job(parser, "--config", _FILE)
    watching = parser.add_argument_group("watching")
    add_watching(watching)
    # What no flag says is the file's to say, or the service's.
    parser.set_defaults(every=None, settle=None, changed=None, tries=None)
    service = parser.add_argument_group("the watch (in the service)")
    service.add_argument(
        "--model",
        metavar="MODEL",
        help="a model of the project, instead of --model-dir; each epoch takes its default version of then",
    )
    service.add_argument("--version", metavar="VERSION", help="of the model, for every epoch")
    service.add_argument("--labels", metavar="KEY=VALUE,…", type=labels, help="labels of the watch and of its jobs")
    service.add_argument("--webhook", metavar="URL", help="is told of each change of the state of its jobs")
    run = parser.add_argument_group("this call")
    run.add_argument("--validate-only", action="store_true", help="only say whether the watch could be created")
    add_connection(parser, "json")
