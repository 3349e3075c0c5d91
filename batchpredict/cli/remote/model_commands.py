"""The commands about models, versions, operations and projects; as those of `gcloud ai-platform`."""

from __future__ import annotations

from batchpredict.cli.arguments import Parser, fields_list, labels
from batchpredict.cli.remote.connection_flags import add_connection, add_labels, add_list, add_policies

_CREATE_VERSION = """\
Create a version of a model: the service copies the SavedModel and checks it.

The version is described by flags, by a file with its fields (deploymentUri, description, …), or by both: a flag
overrides the field of its name. The first version of a model becomes its default.
"""
_REGION = "accepted, as gcloud's regional endpoints; the service is the one of --endpoint"
_ASYNC = "print the operation instead of waiting for its end"


def add(parser: Parser) -> None:
    """`batchpredict models …`, `versions …`, `operations …` and `projects …`"""
    _add_models(parser.add_command("models", "models of the jobs service"))
    _add_versions(parser.add_command("versions", "versions of a model of the jobs service"))
    _add_operations(parser.add_command("operations", "what the jobs service does with models"))
    add_policies(parser.add_command("projects", "who may do what in a project of the jobs service"), "PROJECT")


def _add_models(models: Parser) -> None:
    create = models.add_command("create", "create a model, without a version yet")
    create.add_argument("model", metavar="MODEL")
    create.add_argument("--description", metavar="TEXT")
    create.add_argument("--labels", metavar="KEY=VALUE,…", type=labels)
    create.add_argument("--regions", metavar="REGION,…", type=fields_list)
    create.add_argument("--region", metavar="REGION", help=_REGION)
    create.add_argument("--enable-logging", action="store_true", help="accepted; there is no online prediction")
    add_connection(create, "json")
    add_list(models.add_command("list", "models of a project"), "models", "'name:census*'")
    for name, help in (("describe", "print a model as JSON"), ("delete", "delete a model without versions")):
        command = models.add_command(name, help)
        command.add_argument("model", metavar="MODEL")
        command.add_argument("--region", metavar="REGION", help=_REGION)
        add_connection(command, "json")
    update = models.add_command("update", "change the description or the labels of a model")
    update.add_argument("model", metavar="MODEL")
    update.add_argument("--description", metavar="TEXT")
    add_labels(update)
    add_connection(update, "json")
    add_policies(models, "MODEL")


def _add_versions(versions: Parser) -> None:
    create = _version(versions, "create", "create a version of a model", _CREATE_VERSION)
    create.add_argument(
        "--origin", "--deployment-uri", metavar="URL", dest="origin", help="folder of the SavedModel"
    )
    create.add_argument("--config", metavar="FILE", help="fields of the Version, as YAML or JSON; - for stdin")
    create.add_argument("--description", metavar="TEXT")
    create.add_argument("--labels", metavar="KEY=VALUE,…", type=labels)
    create.add_argument("--runtime-version", metavar="VERSION", help="accepted; the installed TensorFlow runs")
    create.add_argument("--framework", metavar="NAME", help="tensorflow")
    create.add_argument("--python-version", metavar="VERSION", help="accepted")
    create.add_argument("--machine-type", metavar="TYPE", help="accepted; there is no online prediction")
    create.add_argument("--staging-bucket", metavar="URL", help="accepted; nothing is staged")
    create.add_argument("--region", metavar="REGION", help=_REGION)
    create.add_argument("--async", action="store_true", dest="no_wait", help=_ASYNC)
    add_connection(create, "json")
    listed = versions.add_command("list", "versions of a model")
    listed.add_argument("--model", metavar="MODEL", required=True)
    listed.add_argument("--region", metavar="REGION", help=_REGION)
    add_list(listed, "versions", "'name:v*'")
    for name, help in (
        ("describe", "print a version as JSON"),
        ("delete", "delete a version; the default one only if it is the last"),
        ("set-default", "use this version where a job names none"),
    ):
        command = _version(versions, name, help)
        command.add_argument("--region", metavar="REGION", help=_REGION)
        add_connection(command, "json")
    update = _version(versions, "update", "change the description or the labels of a version")
    update.add_argument("--description", metavar="TEXT")
    add_labels(update)
    add_connection(update, "json")


def _version(versions: Parser, name: str, help: str, description: str = "") -> Parser:
    command = versions.add_command(name, help, description)
    command.add_argument("version", metavar="VERSION")
    command.add_argument("--model", metavar="MODEL", required=True)
    return command


def _add_operations(operations: Parser) -> None:
    add_list(operations.add_command("list", "operations of a project"), "operations", "'done=true'")
    for name, help in (
        ("describe", "print an operation as JSON"),
        ("wait", "wait for the end of an operation"),
        ("cancel", "ask an operation to stop"),
    ):
        command = operations.add_command(name, help)
        command.add_argument("operation", metavar="OPERATION")
        add_connection(command, "json")
