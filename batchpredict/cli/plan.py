"""`batchpredict plan`: what a job would be, before it is run."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from types import FrameType

from batchpredict.cli.document import read_job
from batchpredict.cli.fields import in_flags
from batchpredict.cli.observers import log_line
from batchpredict.errors import BatchPredictError, InvalidJob, WrongCall
from batchpredict.estimate import Telling, Wishes, estimate, to_document
from batchpredict.launch import FAILED, SUCCEEDED, TERMINATED, refuse, silence_logs, status_of
from batchpredict.ledger import PredictionSpec
from batchpredict.workers import cores

_PROGRAM = "batchpredict plan"


def plan(options: argparse.Namespace) -> int:
    """Estimate the job that the options describe; the exit status, which is 1 too where `predict` would fail."""
    silence_logs()
    try:
        spec = PredictionSpec.of(read_job(options))
        from batchpredict.runners import choose, import_engine

        choose(options.runner, options.beam_flags)
    except (WrongCall, InvalidJob) as error:
        return refuse(_PROGRAM, error)
    signal.signal(signal.SIGTERM, _on_terminate)
    telling = _telling(options)
    try:
        found = estimate(
            spec, _wishes(options, spec), engine=lambda: import_engine(options.runner), telling=telling
        )
    except BatchPredictError as error:
        what = "" if isinstance(error, WrongCall) else "the job would fail: "
        telling.error(f"{what}{in_flags(str(error), options)}")
        return status_of(error)
    finally:
        telling.close()
    document = to_document(found)
    if options.format == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        from batchpredict.cli.plan_table import show

        show(document)
    return FAILED if found.folder.refusal else SUCCEEDED


def _wishes(options: argparse.Namespace, spec: PredictionSpec) -> Wishes:
    most = spec.max_workers
    return Wishes(
        sample=options.sample,
        workers=options.workers,
        # As in `predict`, the flag says how many are started, and the field how many may be at most.
        default_workers=min(cores(), most or cores()) if options.max_worker_count is None or not most else most,
        price_per_node_hour=options.price_per_node_hour,
        overwrite=options.overwrite,
        fresh=options.fresh,
    )


def _on_terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    # Whatever was begun is let go of on the way out.
    raise SystemExit(TERMINATED)


def _telling(options: argparse.Namespace) -> Lines:
    if options.json_logs:
        return JsonLines(quiet=options.quiet)
    if sys.stderr.isatty() and not options.quiet:
        return Spinner(quiet=False)
    return Lines(quiet=options.quiet)


class Lines(Telling):
    """Tells how far it is, a line of text each on stderr. `quiet`: only warnings and errors."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def progress(self, text: str) -> None:
        if not self._quiet:
            self._say("INFO", f"{text} …")

    def warning(self, text: str) -> None:
        self._say("WARNING", f"{_PROGRAM}: {text}")

    def error(self, text: str) -> None:
        self._say("ERROR", f"{_PROGRAM}: {text}")

    def close(self) -> None:
        """Give the terminal back; may be called again."""

    def _say(self, severity: str, text: str) -> None:
        del severity
        print(text, file=sys.stderr, flush=True)


class JsonLines(Lines):
    """The same as JSON lines, with the names of structured logs."""

    def _say(self, severity: str, text: str) -> None:
        print(log_line(severity, text), file=sys.stderr, flush=True)


class Spinner(Lines):
    """One line of a terminal that says what is done now."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        from rich.console import Console
        from rich.text import Text

        self._text = Text
        self._status = Console(stderr=True).status(Text("starting"))
        self._status.start()

    def progress(self, text: str) -> None:
        self._status.update(self._text(text))

    def close(self) -> None:
        self._status.stop()

    def _say(self, severity: str, text: str) -> None:
        del severity
        self._status.console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
