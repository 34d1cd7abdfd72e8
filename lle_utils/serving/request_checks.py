"""Read a request; what is not as documented is refused with a status and a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

from flask import abort, request
from PIL import Image

from lle_utils.serving.limits import ANSWER_FORMATS, Limits, readable_formats

QUERY_DEFAULTS = {"level": "auto", "format": "jpeg"}
QUERY_NAMES = ("method", *QUERY_DEFAULTS)


class Query(NamedTuple):
    """What is asked for: a method, a mean brightness or None, and a format to answer in."""

    method: str
    level: float | None
    format: str


def read_query(methods: list[dict]) -> Query:
    """Read the query of the current request.

    Args:
        methods: What may be asked for, as from `offered_methods`; the first is the default.

    Raises:
        HTTPException: 422 for an unknown or repeated name, and for a value out of range.
    """
    for name in request.args:
        if name not in QUERY_NAMES or len(request.args.getlist(name)) > 1:
            abort(422, f"Give each of {', '.join(QUERY_NAMES)} at most once, and nothing else.")
    given = {"method": methods[0]["name"], **QUERY_DEFAULTS, **request.args}
    _check_known("method", given["method"], sorted(method["name"] for method in methods))
    _check_known("format", given["format"], ANSWER_FORMATS)
    return Query(given["method"], _level(given["level"]), given["format"])


def _check_known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        abort(422, f"Unknown {name}; known are {', '.join(known)}.")


def _level(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not 0 < level < 1:
        abort(422, "The level must be a mean brightness between 0 and 1, or auto.")
    return level


def read_photo(limits: Limits) -> bytes:
    """Read the body of the current request and look at its first bytes; decoding comes later.

    Raises:
        HTTPException: 413 for too many bytes or pixels, 415 for what is no photo.
    """
    content = request.get_data(cache=False, parse_form_data=False)  # 413 when too large
    kind = request.mimetype
    if not (kind.startswith("image/") or kind == "application/octet-stream"):
        abort(415, "Send the bytes of one photo as the body, with Content-Type image/jpeg or so.")
    width, height = _size(content)
    if width * height > limits.megapixels * 1e6:
        abort(413, f"The photo is larger than {limits.megapixels:g} megapixels. Reduce it.")
    return content


def _size(content: bytes) -> tuple[float, float]:
    """Return width and height in pixels as the head of a file tells them."""
    try:
        with Image.open(BytesIO(content), formats=readable_formats()) as picture:
            return picture.size
    except Image.DecompressionBombError:
        return math.inf, math.inf
    except Exception:  # bytes made to confuse a decoder raise anything at all
        abort(415, f"This is not a photo that can be read here: {', '.join(readable_formats())}.")
