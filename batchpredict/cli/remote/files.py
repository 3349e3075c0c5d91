"""Files that commands of the client take: an object in JSON, or in YAML as gcloud reads it."""

from __future__ import annotations

import json
import sys
from typing import Any

from batchpredict.errors import WrongCall

_STDIN = "-"


def read_object(path: str, flag: str, kind: str) -> dict[str, Any]:
    """The object in a file; "-" for stdin.

    In YAML every value is text, as it stands there: a version `2.10` is not the number 2.1, and the service takes
    numbers as text.

    Args:
      flag: the flag or argument that names the file, for errors.
      kind: what the file should hold, for errors.

    Raises:
      WrongCall: it cannot be read, or holds no object.
    """
    try:
        if path == _STDIN:
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise WrongCall(f"{flag}: '{path}' cannot be read: {reason}") from error
    found = _parsed(text, f"{flag}: '{path}'")
    if not isinstance(found, dict):
        raise WrongCall(f"{flag}: '{path}' is no {kind}: it holds no JSON or YAML object")
    return found


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith(("{", "[")):
            # Meant as JSON: what YAML has against it would mislead.
            raise WrongCall(f"{place} is no JSON: {error}") from error
    import yaml

    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise WrongCall(f"{place} is neither JSON nor YAML: {' '.join(str(error).split())}") from error
