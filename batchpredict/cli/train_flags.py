"""The flags of a training job, as `gcloud ai-platform jobs submit training` has them."""

from __future__ import annotations

from batchpredict.cli.arguments import EPILOG, Parser, count, fields_list, scale_tier
from batchpredict.cli.flags import add_run

_TRAIN = """\
Train a Python package on a cluster of replicas, and search for hyperparameters.

The job is described by flags, by a Job resource (--job), by a file with its trainingInput (--config), or by all of
them: a flag overrides the field of its name. What follows -- is for the trainer.
Prints the TrainingOutput as JSON. A job that was interrupted goes on: run the same command again.
"""


def add(parser: Parser) -> None:
    """`batchpredict train`"""
    train = parser.add_command("train", "train a package", _TRAIN, epilog=EPILOG)
    add_job(train)
    add_run(train, fresh="train again, whatever earlier runs of the job have finished")


def add_job(parser: Parser) -> None:
    """The flags that describe a training job, with a file or without."""
    job = parser.add_argument_group("the job (names as in gcloud)")
    job.add_argument("--job", metavar="FILE", help="a Job resource with trainingInput, as JSON; - for stdin")
    job.add_argument("--config", metavar="FILE", help="YAML or JSON with trainingInput: … (and labels: …)")
    job.add_argument("--module-name", metavar="MODULE", help="what python -m runs, such as trainer.task")
    job.add_argument("--package-path", metavar="DIR", help="folder of the module's package; it is packed")
    job.add_argument(
        "--packages",
        metavar="FILE,…",
        type=fields_list,
        action="extend",
        help="source packages or wheels, any URL; at most 100",
    )
    job.add_argument("--job-dir", metavar="URL", help="for what is trained; handed to the trainer as --job-dir")
    job.add_argument(
        "--scale-tier",
        metavar="TIER",
        type=scale_tier,
        help="BASIC (default), STANDARD_1, PREMIUM_1, BASIC_GPU or CUSTOM",
    )
    for role, name in (("master", "master"), ("worker", "worker"), ("parameter-server", "parameter server")):
        job.add_argument(f"--{role}-machine-type", metavar="TYPE", help=f"machine type of a {name}, with CUSTOM")
    job.add_argument("--worker-count", metavar="N", type=count, help="workers, with CUSTOM")
    job.add_argument("--parameter-server-count", metavar="N", type=count, help="parameter servers, with CUSTOM")
    job.add_argument("--region", metavar="REGION", help="accepted (default: local)")
    job.add_argument("--runtime-version", metavar="VERSION", help="names the chief in TF_CONFIG; nothing else")
    job.add_argument("--python-version", metavar="VERSION", help="accepted; this Python runs")
    job.add_argument(
        "--staging-bucket", metavar="URL", help="where packages of this machine are put (default: --job-dir)"
    )
