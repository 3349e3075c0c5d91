"""`batchpredict inspect`: what a SavedModel takes and gives."""

from __future__ import annotations

import argparse
import json
import sys

from batchpredict.errors import BatchPredictError
from batchpredict.launch import FAILED, SUCCEEDED, silence_logs
from batchpredict.models import TensorSpec

# Characters of the example line that are shown; an image of zeros helps nobody.
_EXAMPLE_SHOWN = 400


def inspect(options: argparse.Namespace) -> int:
    """Print what a model is; returns the exit status."""
    from batchpredict.models import look

    silence_logs()
    try:
        found = look(options.model_dir)
    except BatchPredictError as error:
        print(f"batchpredict inspect: {str(error).removeprefix('uri: ')}", file=sys.stderr)
        return FAILED
    if options.format == "json":
        print(json.dumps(found.to_dict(), indent=2))
        return SUCCEEDED
    print(f"SavedModel {options.model_dir}")
    print(f"tags: {', '.join(found.tags)}")
    if not found.signatures:
        print("no signatures: this model cannot be used for prediction")
    for signature in found.signatures:
        mark = " (used unless --signature-name says otherwise)" if signature.name == found.default else ""
        print(f"\nsignature {signature.name}{mark}")
        _print_tensors("inputs", signature.inputs)
        _print_tensors("outputs", signature.outputs)
        example = found.example(signature)
        if example is not None:
            _print_example(example)
        for remark in found.remarks(signature):
            print(f"  note: {remark}")
    return SUCCEEDED


def _print_tensors(title: str, specs: tuple[TensorSpec, ...]) -> None:
    print(f"  {title}:")
    width = max((len(spec.alias) for spec in specs), default=0)
    for spec in specs:
        print(f"    {spec.alias:<{width}}  {spec}")


def _print_example(text: str) -> None:
    if len(text) > _EXAMPLE_SHOWN:
        text = f"{text[:_EXAMPLE_SHOWN]}… ({len(text):,} characters; whole with --format json)"
    print(f"  a line of TEXT input:\n    {text}")
