"""Image quality metrics, one value per image, each carrying the convention it follows.

A score of an enhanced photo means little without its convention: the same output can be
given values that differ by tens of decibels. Here every convention has a name of its own.

All metrics take float images of shape ``(H, W, 3)`` in [0, 1] and return a Python float.
They need, besides the enhanced image, either the well-lit ``reference``, or the ``low``
image it was made from (`loe`, `noise_gain`), or nothing (`niqe`). `METRICS` says which.

Unless its name says ``float``, a metric first rounds both images to 8 bits, because a file
holds nothing finer. 8-bit integers themselves are refused: their differences wrap around.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from lle_utils.effects import chroma_error, clipped, highlight_error, noise_gain, noise_left
from lle_utils.images import ImageError
from lle_utils.niqe import niqe
from lle_utils.psnr import (
    luminance,
    psnr,
    psnr_best_gamma,
    psnr_dark,
    psnr_float,
    psnr_gray,
    psnr_gtmean,
    psnr_gtmean_llflow,
    psnr_gtmean_rgb,
    psnr_y,
    rounded_pair,
)

_GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def mae(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean absolute error in 8-bit levels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Levels, 0 to 255, lower is better.

    >>> black = np.zeros((2, 3, 3))
    >>> round(mae(black, black + 0.2), 9)
    51.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return float(255 * np.mean(np.abs(enhanced - reference)))


def ssim(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute structural similarity per channel with the window of the paper.

    11x11 Gaussian of sigma 1.5, K1 0.01, K2 0.03, range 1, population covariance; the mean
    over the valid area (5 pixels inside the border) and the three channels.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 11.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    Raises:
        ImageError: If a side is shorter than 11 pixels, or as in `psnr`.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural
        similarity", IEEE Transactions on Image Processing 13(4), 2004. Equals
        ``tf.image.ssim``.

    >>> black = np.zeros((16, 12, 3))
    >>> c1 = 0.01**2  # without structure only the luminance term is left
    >>> bool(np.isclose(ssim(black, black + 0.2), c1 / (0.2**2 + c1)))
    True
    """
    enhanced, reference = _windowed(enhanced, reference, 11)
    return float(
        structural_similarity(enhanced, reference, data_range=1, channel_axis=-1, **_GAUSSIAN)
    )


def ssim_gray(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute `ssim` on full-range BT.601 grey, usually higher than on RGB.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 11.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    >>> black = np.zeros((16, 12, 3))
    >>> ssim_gray(black, black)
    1.0
    """
    enhanced, reference = _windowed(enhanced, reference, 11)
    grey = luminance(enhanced), luminance(reference)
    return float(structural_similarity(*grey, data_range=1, **_GAUSSIAN))


def ssim_uniform7(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute SSIM with the defaults of scikit-image: 7x7 box window, sample covariance.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1], both sides at least 7.
        reference: The well-lit photo, same shape and range.

    Returns:
        -1 to 1, higher is better.

    >>> black = np.zeros((16, 12, 3))
    >>> ssim_uniform7(black, black)
    1.0
    """
    enhanced, reference = _windowed(enhanced, reference, 7)
    return float(structural_similarity(enhanced, reference, data_range=1, channel_axis=-1))


def _windowed(
    enhanced: np.ndarray, reference: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    enhanced, reference = rounded_pair(enhanced, reference)
    if min(enhanced.shape[:2]) < window:
        raise ImageError(
            f"SSIM needs a {window}x{window} window; the image has {enhanced.shape[:2]} pixels."
        )
    return enhanced, reference


def delta_e(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute the mean CIEDE2000 colour difference (sRGB, D65, 2 degree observer).

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Delta E 2000, lower is better; about 1 is just noticeable, black to white is 100.

    Reference:
        Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", 2005.

    >>> black = np.zeros((2, 3, 3))
    >>> round(delta_e(black, black + 1), 3)
    100.0
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    return float(np.mean(deltaE_ciede2000(rgb2lab(enhanced), rgb2lab(reference))))


def loe(enhanced: np.ndarray, low: np.ndarray) -> float:
    """Count how many pixels change their lightness order with a pixel (naturalness).

    Lightness is the largest of R, G, B, taken at a 50x50 grid. For each grid point the
    others whose relation "at least as light as" differs between the images are counted.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        low: The low-light image it was made from (not the reference).

    Returns:
        Mean count, 0 to 2,500, lower is better; 0 when lightness order is kept.

    Reference:
        Wang et al., "Naturalness preserved enhancement algorithm for non-uniform
        illumination images", IEEE Transactions on Image Processing 22(9), 2013, eq. 1-4.

    Deviation:
        The grid is always 50x50; the original keeps the aspect ratio.

    >>> ramp = np.arange(100.0).reshape(10, 10, 1).repeat(3, axis=2) / 255
    >>> loe(ramp * 2, ramp), loe(1 - ramp, ramp)  # kept; reversed, except with itself
    (0.0, 99.0)
    """
    enhanced, low = rounded_pair(enhanced, low, "low")
    rows, columns = (np.linspace(0, size - 1, min(size, 50)).round() for size in low.shape[:2])
    grid = np.ix_(rows.astype(int), columns.astype(int))
    before, after = (image.max(axis=-1)[grid].ravel() for image in (low, enhanced))
    changed = (before[:, None] >= before) ^ (after[:, None] >= after)
    return float(changed.sum(axis=1).mean())


def lpips(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute LPIPS (AlexNet, version 0.1) with the library of its authors.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Distance, lower is better, 0 for equal images.

    Raises:
        ImportError: If the optional library is not installed.
        RuntimeError: If its AlexNet weights are neither cached nor downloadable.

    Reference:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual
        metric", CVPR 2018.
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    model, torch = _lpips_model()
    planes = (image.transpose(2, 0, 1)[None] * 2 - 1 for image in (enhanced, reference))
    with torch.no_grad():
        distance = model(*(torch.from_numpy(plane.astype(np.float32)) for plane in planes))
    return float(distance)


@functools.cache
def _lpips_model():
    try:
        import lpips as library
        import torch
    except ImportError as error:
        raise ImportError(
            f"LPIPS needs an optional library ({error}). Install it: pip install lle-utils[lpips]"
        ) from error
    try:
        return library.LPIPS(net="alex", version="0.1", verbose=False).eval(), torch
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"LPIPS could not get its AlexNet weights: {error}. They are downloaded once by "
            "torchvision; connect to the internet, or place them in torch's cache."
        ) from error


@dataclass(frozen=True)
class Metric:
    """A metric and what has to be printed beside its values.

    Attributes:
        function: ``f(enhanced, reference)``, ``f(enhanced, low)`` or ``f(enhanced)``.
        needs: "reference", "low" or "nothing": its second argument.
        direction: "higher" or "lower" is better, or None when neither is.
        unit: Unit of the value, empty for a pure number.
        protocol: Colour space, rounding, use of the reference mean, window.
        digits: Decimals worth printing.
    """

    function: Callable[..., float]
    needs: str
    direction: str | None
    unit: str
    protocol: str
    digits: int = 2


_BITS = "rounded to 8 bits"
_BLIND = "no reference mean"
_WINDOW = "11x11 Gaussian, sigma 1.5, population covariance, valid area, range 1"

METRICS: dict[str, Metric] = {
    "psnr": Metric(psnr, "reference", "higher", "dB", f"RGB, {_BITS}, {_BLIND}"),
    "psnr_float": Metric(psnr_float, "reference", "higher", "dB", f"RGB, not rounded, {_BLIND}"),
    "psnr_y": Metric(
        psnr_y, "reference", "higher", "dB", f"BT.601 Y 16-235, peak 255, {_BITS} as RGB, {_BLIND}"
    ),
    "psnr_gray": Metric(
        psnr_gray, "reference", "higher", "dB", f"BT.601 grey 0-255, {_BITS} as RGB, {_BLIND}"
    ),
    "psnr_dark": Metric(
        psnr_dark,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, {_BLIND}, darkest 30 % of the reference",
    ),
    "psnr_gtmean": Metric(
        psnr_gtmean, "reference", "higher", "dB", f"RGB, {_BITS}, USES the reference's grey mean"
    ),
    "psnr_gtmean_llflow": Metric(
        psnr_gtmean_llflow,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, USES the reference's grey mean over the output's RGB mean",
    ),
    "psnr_gtmean_rgb": Metric(
        psnr_gtmean_rgb, "reference", "higher", "dB", f"RGB, {_BITS}, USES the reference's RGB mean"
    ),
    "psnr_best_gamma": Metric(
        psnr_best_gamma,
        "reference",
        "higher",
        "dB",
        f"RGB, {_BITS}, USES the reference to choose one of 100 gammas, 0.4 to 2.5",
    ),
    "ssim": Metric(
        ssim, "reference", "higher", "", f"RGB per channel, {_BITS}, {_BLIND}, {_WINDOW}", digits=3
    ),
    "ssim_gray": Metric(
        ssim_gray,
        "reference",
        "higher",
        "",
        f"BT.601 grey, {_BITS} as RGB, {_BLIND}, {_WINDOW}",
        digits=3,
    ),
    "ssim_uniform7": Metric(
        ssim_uniform7,
        "reference",
        "higher",
        "",
        f"RGB per channel, {_BITS}, {_BLIND}, 7x7 box, sample covariance, range 1",
        digits=3,
    ),
    "mae": Metric(mae, "reference", "lower", "levels", f"RGB, {_BITS}, {_BLIND}", digits=1),
    "delta_e": Metric(
        delta_e, "reference", "lower", "", f"CIEDE2000 from sRGB, D65, {_BITS}, {_BLIND}"
    ),
    "loe": Metric(
        loe,
        "low",
        "lower",
        "",
        f"max(R, G, B) on a 50x50 grid, against the low image, {_BITS}",
        digits=0,
    ),
    "noise_gain": Metric(
        noise_gain,
        "low",
        None,
        "x",
        f"BT.601 grey, {_BITS}, flattest quarter of 8x8 patches, against the low image",
    ),
    "noise_left": Metric(
        noise_left,
        "reference",
        "lower",
        "x",
        f"BT.601 grey, {_BITS}, flattest quarter of 8x8 patches, against the reference, "
        "USES its grey mean",
    ),
    "chroma_error": Metric(
        chroma_error,
        "reference",
        "lower",
        "",
        f"distance in a*, b* of CIELAB from sRGB, D65, {_BITS}, {_BLIND}",
    ),
    "clipped": Metric(
        clipped,
        "reference",
        "lower",
        "%",
        f"pixels with a channel of 255 that the reference has below, {_BITS}, {_BLIND}",
    ),
    "highlight_error": Metric(
        highlight_error,
        "reference",
        "lower",
        "levels",
        f"BT.601 grey, {_BITS}, {_BLIND}, brightest 5 % of the reference",
        digits=1,
    ),
    "niqe": Metric(
        niqe,
        "nothing",
        "lower",
        "",
        f"BT.601 grey, {_BITS}, 96x96 patches, this package's own natural-image model: "
        "not comparable with MATLAB, BasicSR or pyiqa",
    ),
    "lpips": Metric(
        lpips,
        "reference",
        "lower",
        "",
        f"RGB, {_BITS}, {_BLIND}, AlexNet 0.1, lpips library",
        digits=3,
    ),
}


def score(
    enhanced: np.ndarray,
    reference: np.ndarray | None = None,
    names: Sequence[str] = ("psnr", "ssim"),
    *,
    low: np.ndarray | None = None,
) -> dict[str, float]:
    """Score one image with several metrics.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo; may be left out when no metric needs it.
        names: Keys of `METRICS`.
        low: The low-light image; needed by `loe` and `noise_gain` only.

    Returns:
        Metric name -> value, in the order of ``names``.

    Raises:
        KeyError: For an unknown name.
        ValueError: If a metric needs an image that was not given.

    >>> black = np.zeros((2, 3, 3))
    >>> score(black, black + 1, ["psnr", "mae"])
    {'psnr': 0.0, 'mae': 255.0}
    """
    given = {"reference": reference, "low": low}
    result = {}
    for name in names:
        if name not in METRICS:
            raise KeyError(f"no metric {name!r}; known: {', '.join(METRICS)}.")
        metric = METRICS[name]
        if metric.needs == "nothing":
            result[name] = metric.function(enhanced)
            continue
        if given[metric.needs] is None:
            raise ValueError(f"{name} needs the {metric.needs} image; pass {metric.needs}=...")
        result[name] = metric.function(enhanced, given[metric.needs])
    return result
