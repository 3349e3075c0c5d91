"""Which files are compressed: by their name, as the service's text and TFRecord readers decided it."""

from __future__ import annotations

# Beam's readers, which the service's were, look at the name in lower case.
_CODECS = {".gz": "gzip", ".bz2": "bz2"}


def codec_of(url: str) -> str | None:
    """ "gzip" or "bz2" for a file whose name says that it is compressed, in letters of either case, else None."""
    lowered = url.lower()
    for suffix, codec in _CODECS.items():
        if lowered.endswith(suffix):
            return codec
    return None


def suffix_in_capitals(url: str) -> bool:
    """Whether it takes a look at capitals to see that a file is compressed."""
    return codec_of(url) is not None and not url.endswith(tuple(_CODECS))
