"""How bright a photo should be when nobody says so."""

from __future__ import annotations

import numpy as np

from lle_utils.core.exposure import expose, mean_brightness, srgb_to_linear
from lle_utils.core.images import as_float

USUAL_LEVEL = 0.45  # about the mean of LOL's well-lit training photos
BRIGHT_SHARE, BRIGHT_VALUE = 0.2, 0.8  # so much of a photo may be brighter than this value
LIMITS = (0.01, 0.99)  # of all levels: those of photos that are black or white
SAMPLED_PIXELS = 2**16  # of a photo, that the choice is made on


def default_level(photo: np.ndarray) -> float:
    """Choose the mean brightness of the result for a photo.

    It is `USUAL_LEVEL`, unless more than `BRIGHT_SHARE` of the photo would then have a colour
    value above `BRIGHT_VALUE`: lamps and skies keep a night scene dark. A photo is never made
    darker than it is, so one that is well exposed keeps its brightness.

    Share and value were chosen among twenty by training photos: with them the level is 0.094 off
    (root mean square) on LOL's pairs, where the same level for all is 0.095 off, and 0.067 on the
    dark members of exposure sequences, where it is 0.053 off. So the photo hardly tells how bright
    its twin is; the rule is for scenes that neither has, such as cities at night.

    Args:
        photo: ``(H, W, 3)``: uint8, uint16, or floating point in [0, 1].

    Returns:
        A level in (0, 1), no lower than the photo's own mean.

    >>> default_level(np.full((4, 4, 3), 0.02))
    0.45
    >>> default_level(np.full((4, 4, 3), 0.6))
    0.6
    """
    step = int(np.ceil(np.sqrt(photo.shape[0] * photo.shape[1] / SAMPLED_PIXELS)))
    sample = as_float(photo[::step, ::step])
    bright = srgb_to_linear(np.quantile(sample.max(axis=-1), 1 - BRIGHT_SHARE))
    wanted = srgb_to_linear(BRIGHT_VALUE)
    own = mean_brightness(photo)
    highest = USUAL_LEVEL
    if 0 < bright < wanted:
        gain = wanted * (1 - bright) / (bright * (1 - wanted))
        highest = float(expose(sample, gain).mean())
    elif bright >= wanted:
        highest = own
    return float(np.clip(max(own, min(USUAL_LEVEL, highest)), *LIMITS))
