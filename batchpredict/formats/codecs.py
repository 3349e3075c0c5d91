"""Which files are compressed: as their store says, or by their name, as the service's readers decided it."""

from __future__ import annotations

# Beam's readers, which the service's were, look at the name in lower case.
_CODECS = {".gz": "gzip", ".bz2": "bz2"}


def codec_of(url: str, encoding: str = "") -> str | None:
    """ "gzip" or "bz2" for a file whose store, or else whose name, says that it is compressed; else None.

    Args:
      url: of the file; its suffix counts in letters of either case.
      encoding: what the store says, `storage.Input.encoding`. It counts once: what is named .gz and is stored with
        Content-Encoding gzip is compressed once, as the tools that set it for such names leave it.
    """
    if encoding == "gzip":
        return "gzip"
    lowered = url.lower()
    for suffix, codec in _CODECS.items():
        if lowered.endswith(suffix):
            return codec
    return None


def suffix_in_capitals(url: str) -> bool:
    """Whether it takes a look at capitals to see that a file is compressed."""
    return codec_of(url) is not None and not url.endswith(tuple(_CODECS))
