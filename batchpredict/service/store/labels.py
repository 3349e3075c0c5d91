"""Labels of a job as one text, in which a label, or the beginning of one, is found by a search for it.

"\\nteam=blue\\nairflow-version=v2-10-5\\n"
"""

from __future__ import annotations

from collections.abc import Mapping

# Each character by itself, so that the beginning of a value stays the beginning of what is written for it.
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "=": "\\e"})


def text_of(labels: Mapping[str, str]) -> str:
    """All labels; "" for none."""
    written = [_written(key) + "=" + _written(value) for key, value in labels.items()]
    return "\n" + "\n".join(written) + "\n" if written else ""


def whole(key: str, value: str) -> str:
    """What the text of labels has in it if one of them is this one."""
    return beginning(key, value) + "\n"


def beginning(key: str, value: str) -> str:
    """What the text of labels has in it if the value of a key begins so."""
    return "\n" + _written(key) + "=" + _written(value)


def _written(text: str) -> str:
    return text.translate(_ESCAPES)
