"""The flags of `batchpredict serve`: the settings of a service that people change by hand; a file has them all."""

from __future__ import annotations

from batchpredict.cli.arguments import Parser
from batchpredict.launch import FAILED, SUCCEEDED, WRONG_CALL

_SERVE = """\
Start the jobs service: a REST API that clients of Cloud ML Engine know, a queue, workers, a console for browsers.

Without any configuration it listens on this machine only, keeps its jobs in a SQLite file, and runs them here.
A setting comes from a flag, else from the environment (BATCHPREDICT_PORT for --port), else from --config's file.
Ctrl-C stops it; jobs that run go on when it is started again.
"""

_EPILOG = (
    f"exit status: {SUCCEEDED} stopped by Ctrl-C or SIGTERM, {FAILED} failed, {WRONG_CALL} wrong call: "
    "a setting that cannot be used, an address that is taken"
)


def add(parser: Parser) -> None:
    """`batchpredict serve`"""
    serve = parser.add_command("serve", "start the jobs service", _SERVE, epilog=_EPILOG)
    serve.add_argument("--config", metavar="FILE", help="settings, as TOML (environment: BATCHPREDICT_CONFIG)")
    serve.add_argument("--check", action="store_true", help="only say whether the settings are right")
    server = serve.add_argument_group("where it listens")
    server.add_argument("--host", metavar="HOST", help="address (default: 127.0.0.1); others need tokens or OIDC")
    server.add_argument("--port", metavar="PORT", help="default: 8080; 0 for any that is free")
    server.add_argument("--tls-certificate", metavar="FILE", help="for https")
    server.add_argument("--tls-key", metavar="FILE", help="for https")
    server.add_argument(
        "--role", metavar="ROLE", help="api, worker, or all (default): several may share one database"
    )
    kept = serve.add_argument_group("what it keeps")
    kept.add_argument("--database", metavar="URL", help="SQLite file, or postgresql://… (default: in --data)")
    kept.add_argument("--data", metavar="DIR", help="the service's own folder (default: batchpredict-service)")
    kept.add_argument("--keep-jobs", metavar="DAYS", help="a job is deleted so long after its end (default: never)")
    kept.add_argument("--keep-logs", metavar="DAYS", help="and its log (default: with the job)")
    kept.add_argument("--migrate", action="store_true", help="bring the database up to this version, and end")
    run = serve.add_argument_group("what it runs")
    run.add_argument(
        "--root",
        metavar="DIR_OR_URL",
        action="append",
        dest="roots",
        help="jobs and models may use what is below it; again for more (default: the working directory)",
    )
    run.add_argument("--workers", metavar="N", help="worker processes of this machine (default: its cores)")
    run.add_argument("--jobs", metavar="N", help="jobs that run here at a time (default: as many as workers)")
    run.add_argument("--project-jobs", metavar="N", help="running jobs of a project (default: no limit)")
    run.add_argument("--project-workers", metavar="N", help="worker processes of a project (default: no limit)")
    run.add_argument("--queue-limit", metavar="N", help="queued jobs of a project (default: 10,000)")
    run.add_argument("--watches", metavar="N", help="watches that are led here (default: 8)")
    run.add_argument("--lease", metavar="SECONDS", help="a worker is lost after so long without a word (15)")
    run.add_argument("--runner", metavar="NAME", help="DirectRunner (default), FlinkRunner, DataflowRunner, …")
    run.add_argument(
        "--runner-flag", metavar="--FLAG=VALUE", action="append", dest="runner_flags", help="for the runner"
    )
    run.add_argument(
        "--user", metavar="NAME", help="whom the processes of jobs run as (default: the service's own)"
    )
    run.add_argument("--job-memory", metavar="SIZE", help="of a job's processes each, such as 8GiB")
    run.add_argument(
        "--rendezvous-url",
        metavar="URL",
        help="of this service, where the replicas of training jobs are to meet (default: they meet in the jobDir)",
    )
    access = serve.add_argument_group("who may call")
    access.add_argument(
        "--token",
        metavar="MEMBER=SHA256",
        action="append",
        dest="tokens",
        help="a member such as user:ann@example.org, and the hash of its token; again for more",
    )
    access.add_argument(
        "--admin", metavar="MEMBER", action="append", dest="admins", help="may do everything; again for more"
    )
    access.add_argument(
        "--new-token", metavar="MEMBER", help="make a token for a member, print it and its hash, and end"
    )
    access.add_argument(
        "--webhook-host",
        metavar="HOST",
        action="append",
        dest="webhook_hosts",
        help="a host that webhooks may name; again for more (default: none)",
    )
