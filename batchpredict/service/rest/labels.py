"""Labels of jobs, models and versions: small names and values to find things by.

Rules of Google Cloud's labels: at most 64; keys of 1 to 63 and values of up to 63 lower-case letters, digits, "_"
and "-"; a key begins with a letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchpredict.errors import Violation
from batchpredict.service.rest.errors import invalid

MAX_LABELS = 64
MAX_LENGTH = 63


def check(labels: Any, field: str) -> dict[str, str]:
    """`labels` of a message, if they are legal. None are an empty object.

    Args:
      field: where they are: "job.labels".

    Raises:
      Problem: names each label that breaks a rule.
    """
    if labels is None:
        return {}
    violations = list(_faults(labels, field))
    if violations:
        raise invalid(violations)
    return dict(labels)


def _faults(labels: Any, field: str) -> Iterator[Violation]:
    if not isinstance(labels, Mapping):
        yield Violation(field, "Expected an object.")
        return
    if len(labels) > MAX_LABELS:
        yield Violation(field, f"Expected at most {MAX_LABELS} labels, got {len(labels)}.")
        return
    for key, value in labels.items():
        if not (1 <= len(key) <= MAX_LENGTH and key[0].isalpha() and _legal(key)):
            yield Violation(
                field,
                f'The key "{key[:80]}" should start with a lower-case letter and have at most {MAX_LENGTH}'
                ' lower-case letters, digits, "_" and "-".',
            )
        if not (isinstance(value, str) and len(value) <= MAX_LENGTH and _legal(value)):
            yield Violation(
                field,
                f'The value of "{key[:80]}" should be a string of at most {MAX_LENGTH} lower-case letters, digits,'
                ' "_" and "-".',
            )


def _legal(text: str) -> bool:
    return all(char in "_-" or (char.isalnum() and char == char.lower()) for char in text)
