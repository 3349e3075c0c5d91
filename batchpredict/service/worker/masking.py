"""Secrets in text that others will read: logs and error messages.

A mask is no protection against a job that wants to tell what it knows; it keeps out what programs print by
accident.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASKED = "***"

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
# An RSA key of 8192 bits has a hundred. What never ends is no key.
_KEY_LINES = 200

# A model writes whatever it likes, and the thread that masks it keeps others from running: no pattern looks at a
# character more than a few times. So a name is looked at from its beginning alone, and what has no end is bounded.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Credentials in a URL: https://user:password@host
    (re.compile(r"([a-z][a-z0-9+.-]{0,20}://)[^\s/@:'\"]*:[^\s/@'\"]+@", re.I), rf"\1{MASKED}@"),
    # Headers.
    (
        re.compile(
            r"(\b(?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:(bearer|basic|digest)\s+)?[^\s'\",;]+", re.I
        ),
        rf"\1{MASKED}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}", re.I), rf"\1 {MASKED}"),
    # Signed URLs and query parameters.
    (
        re.compile(
            r"([?&;](?:(?=[\w.-]*(?:token|secret|password|passwd|signature|credential|api[_-]?key))[\w.-]+"
            r"|sig|key|code)=)"
            r"[^\s&'\"#]+",
            re.I,
        ),
        rf"\1{MASKED}",
    ),
    # name=value, "name": "value"
    (
        re.compile(
            r"((?<![\w.-])[\w.-]*(?:token|secret|passw(?:or)?d|passphrase|credential|api[_-]?key|access[_-]?key|private[_-]?key)"
            r"(?:s|[_-]?(?:id|key))?['\"]?\s*[:=]\s*['\"]?)(?![\s'\"])[^\s'\",;&}]{4,}",
            re.I,
        ),
        rf"\1{MASKED}",
    ),
    # What services give out, by its form.
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), MASKED),
    (re.compile(r"\bAIza[0-9A-Za-z_-]{35}"), MASKED),
    (re.compile(r"\bya29\.[0-9A-Za-z_-]{10,}"), MASKED),
    (re.compile(r"\bgh[pousr]_[0-9A-Za-z]{20,}"), MASKED),
    (re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}"), MASKED),
    (re.compile(r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"), MASKED),
    (re.compile(f"{_KEY_BEGIN.pattern}.*?(?:{_KEY_END.pattern}|$)", re.S), MASKED),
)

# Most lines have nothing of the kind: whatever one of the patterns matches has one of these in it.
_HINT = re.compile(
    r"://|auth|bearer|basic|token|secret|passw|passphrase|credential|signature|key|[?&;](?:sig|code)="
    r"|A[KS]IA|AIza|ya29\.|gh[pousr]_|xox|eyJ",
    re.I,
)

# Variables whose values are secrets, wherever they turn up.
_SECRET_NAME = re.compile(r"(?:TOKEN|SECRET|PASSW|CREDENTIAL|_KEY$|ACCESS_KEY|APIKEY)", re.I)
_SHORTEST = 8
"""Shorter values are words that a log may well have."""


class Mask:
    """Masks secrets in text.

    Args:
      known: secrets that are masked wherever they turn up.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        values = sorted({value for value in known if len(value) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, values))) if values else None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Mask:
        """One that knows the values of an environment's variables that hold secrets, by their names."""
        return cls(
            value
            for name, value in environ.items()
            # A file that holds a secret is none.
            if _SECRET_NAME.search(name) and not value.startswith(("/", "~", "."))
        )

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASKED, text)
        if _HINT.search(text) is None:
            return text
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class LineMask:
    """Masks secrets in text that comes line by line, of several streams. A private key has many lines.

    Args:
      mask: for what is within a line.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        # Lines that may still be of a key, by stream.
        self._left: dict[str, int] = {}

    def __call__(self, stream: str, line: str) -> str:
        left = self._left.get(stream, 0)
        if left:
            self._left[stream] = 0 if _KEY_END.search(line) else left - 1
            return MASKED
        begin = _KEY_BEGIN.search(line)
        if begin and not _KEY_END.search(line, begin.end()):
            self._left[stream] = _KEY_LINES
        return self._mask(line)
