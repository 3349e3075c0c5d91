"""From flags to a predictionInput as the service takes it: paths that mean the same there, models by full name."""

from __future__ import annotations

import argparse
from typing import Any

from batchpredict.cli.fields import name_model, override, put, spelling
from batchpredict.cli.remote.connection import Service
from batchpredict.cli.remote.names import model_name, version_name
from batchpredict.cli.remote.paths import absolute
from batchpredict.errors import WrongCall

Document = dict[str, Any]


def put_prediction(service: Service, document: Document, options: argparse.Namespace) -> Document | None:
    """Put the flags of a prediction into a document that has a predictionInput, or gets one; that predictionInput.

    None where the document is of another kind, or what it has there is no object: the service says so.

    Raises:
      WrongCall: of flags that name models.
    """
    source = override(document, options)
    if source is None:
        return None
    _name_model(service, source, options)
    make_absolute(source, "uri", "outputPath")
    name = spelling(source, "inputPaths")
    if isinstance(source.get(name), list):
        paths = source[name]
        source[name] = [absolute(path, pattern=True) if isinstance(path, str) else path for path in paths]
    return source


def put_more(document: Document, options: argparse.Namespace) -> Document:
    """Put in what the service knows of anything that it runs: labels, and a webhook."""
    if options.labels is not None:
        document["labels"] = options.labels
    put(document, "webhook", options.webhook)
    return document


def make_absolute(source: Document, *fields: str) -> None:
    """Make paths of the working directory those of the machine."""
    for field in fields:
        name = spelling(source, field)
        if isinstance(source.get(name), str):
            source[name] = absolute(source[name])


def _name_model(service: Service, source: Document, options: argparse.Namespace) -> None:
    if options.model is not None and options.model_dir is not None:
        raise WrongCall("--model-dir: not with --model: a job has one model")
    if options.version is not None and options.model is None:
        raise WrongCall("--version: needs --model")
    if options.version is not None:
        name_model(source, "versionName", version_name(service, options.model, options.version, "--version"))
    elif options.model is not None:
        name_model(source, "modelName", model_name(service, options.model))
