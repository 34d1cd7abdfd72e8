"""What the server takes on, and the headers it answers with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")  # what Pillow may always try to decode
ANSWER_FORMATS = ("jpeg", "png", "webp")
ANSWER_QUALITY = 95  # of a JPEG or WebP that is sent back
MAX_CONNECTIONS = 128  # each may hold an upload in memory
IDLE_SECONDS = 15  # after which a connection is closed that sends nothing and waits for nothing
MAX_RETRY_SECONDS = 60  # longest that a busy server asks a client to wait
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@cache
def readable_formats() -> tuple[str, ...]:
    """Return what Pillow may try to decode here: `READABLE_FORMATS`, and what libraries add."""
    from PIL import features

    found = list(READABLE_FORMATS)
    if features.check("avif"):
        found.append("AVIF")
    if find_spec("pillow_heif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
        found.append("HEIF")
    return tuple(found)


def media_types() -> list[str]:
    """Return the media types of `readable_formats`; HEIF is what the HEIC of phones is read as."""
    names = {"HEIF": "heic"}
    return [f"image/{names.get(kind, kind.lower())}" for kind in readable_formats()]


@dataclass(frozen=True)
class Limits:
    """What the server takes on.

    Attributes:
        megabytes: Largest upload, in 10⁶ bytes.
        megapixels: Largest photo, in 10⁶ pixels.
        seconds: Longest time for one photo.
        waiting: Photos that may wait while one is worked on; more are told to come back.
    """

    megabytes: float = 40
    megapixels: float = 50
    seconds: float = 60
    waiting: int = 8
