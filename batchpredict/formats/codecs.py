"""Which files are compressed: by their name, as the service's text and TFRecord readers decided it."""

from __future__ import annotations

_CODECS = {".gz": "gzip", ".bz2": "bz2"}


def codec_of(url: str) -> str | None:
    """ "gzip" or "bz2" for a file whose name says that it is compressed, else None."""
    for suffix, codec in _CODECS.items():
        if url.endswith(suffix):
            return codec
    return None
