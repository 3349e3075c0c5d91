"""Which files are compressed: as their store says, or by their name, as the service's readers decided it."""

from __future__ import annotations

_CODECS = {".gz": "gzip", ".bz2": "bz2"}


def codec_of(url: str, encoding: str = "") -> str | None:
    """ "gzip" or "bz2" for a file whose store, or else whose name, says that it is compressed; else None.

    Args:
      url: of the file.
      encoding: what the store says, `storage.Input.encoding`. It counts once: what is named .gz and is stored with
        Content-Encoding gzip is compressed once, as the tools that set it for such names leave it.
    """
    if encoding == "gzip":
        return "gzip"
    for suffix, codec in _CODECS.items():
        if url.endswith(suffix):
            return codec
    return None
