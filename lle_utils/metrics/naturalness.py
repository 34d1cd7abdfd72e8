"""NIQE: distance of an image's local statistics from those of natural photos.

**Values are comparable only with each other.** The natural-photo model of the original
authors may not be redistributed, so this package fits its own (`fit_pristine`) and ships the
36 means and 36x36 covariances. MATLAB, BasicSR and pyiqa give other numbers for the same file.
NIQE also takes fine noise on a smooth picture for detail: never rank methods by it alone.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import gamma as gamma_function

from lle_utils.core.images import ImageError, check_image, luminance, to_uint8
from lle_utils.core.paths import atomic_path

PATCH_SIDE = 96  # in pixels at full scale; half of it at the second scale
MIN_SHARPNESS = 0.75  # of the patches that describe a photo, relative to its sharpest
MODEL_FILE = Path(__file__).with_name("niqe_pristine.npz")

_WINDOW = {"sigma": 7 / 6, "radius": 3, "mode": "nearest"}  # 7x7 Gaussian of the paper
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns to the neighbours of eq. 7
_SHAPES = np.arange(0.2, 10.0005, 0.001)
# E|x|^2 / E[x^2] of a generalised Gaussian; it rises with the shape, so it can be inverted.
_RATIOS = gamma_function(2 / _SHAPES) ** 2 / (
    gamma_function(1 / _SHAPES) * gamma_function(3 / _SHAPES)
)


class NiqeModel(NamedTuple):
    """A multivariate Gaussian over the 36 features.

    Attributes:
        mean: Array of shape ``(36,)``.
        covariance: Array of shape ``(36, 36)``.
        meta: What it was fitted on.
    """

    mean: np.ndarray
    covariance: np.ndarray
    meta: dict


def niqe(image: np.ndarray, model: NiqeModel | None = None) -> float:
    """Compute the natural image quality evaluator, without any reference.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1], holding at least two 96x96 patches.
        model: Natural-photo model; the one shipped with the package by default.

    Returns:
        Distance, 0 or more, lower is more natural. Comparable only under the same model.

    Raises:
        ImageError: If the image breaks the image contract or holds fewer than two patches.

    Reference:
        Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer",
        IEEE Signal Processing Letters 20(3), 2013, eq. 1-10.

    Deviation:
        The model is our own (see the module). Shape parameters come from interpolation in
        the table that the original searches, which differs in the fourth digit.

    >>> noise = np.random.default_rng(0).random((96, 192, 3))
    >>> niqe(noise) > 0
    True
    """
    model = model or load_pristine()
    mean, covariance = _gaussian(features(image), "image")
    offset = mean - model.mean
    pooled = np.linalg.pinv((covariance + model.covariance) / 2)
    return float(np.sqrt(max(offset @ pooled @ offset, 0.0)))


def fit_pristine(images: Iterable[np.ndarray], description: str = "") -> NiqeModel:
    """Fit the natural-photo model on the sharp patches of good photos.

    The shipped model is reproduced, with `LLE_DATA_DIR` set, by
    ``python -m lle_utils.metrics.naturalness``.

    Args:
        images: Images ``(H, W, 3)``, float in [0, 1]; sizes may differ.
        description: What the images are, kept in the model's meta data.

    Returns:
        The fitted model.

    Raises:
        ImageError: If an image breaks the image contract, or two patches are not reached.
    """
    kept, count = [], 0
    for image in images:
        values, sharpness = _patches(image)
        kept.append(values[sharpness > MIN_SHARPNESS * sharpness.max()])
        count += 1
    values = np.concatenate(kept) if kept else np.empty((0, 36))
    mean, covariance = _gaussian(values, "images")
    meta = {
        "fitted_on": description,
        "images": count,
        "patches": len(values),
        "patch": PATCH_SIDE,
        "sharpness_threshold": MIN_SHARPNESS,
    }
    return NiqeModel(mean, covariance, meta)


def save_pristine(model: NiqeModel, path: str | os.PathLike = MODEL_FILE) -> Path:
    """Write a model as ``.npz`` (float64 ``mean``, ``covariance``; JSON text ``meta``)."""
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            mean=model.mean,
            covariance=model.covariance,
            meta=np.array(json.dumps(model.meta)),
        )
    return Path(path)


@functools.cache
def load_pristine(path: str | os.PathLike = MODEL_FILE) -> NiqeModel:
    """Read a model written by `save_pristine`; the shipped one by default."""
    with np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        return NiqeModel(archive["mean"], archive["covariance"], meta)


def features(image: np.ndarray) -> np.ndarray:
    """Compute the 36 natural-scene statistics of every whole 96x96 patch.

    Args:
        image: Image ``(H, W, 3)``, float in [0, 1].

    Returns:
        float64 array ``(patches, 36)``: 18 at full scale, 18 at half scale. The first two
        are shape and scale of the normalised luminance, the rest four times (shape, mean,
        left scale, right scale) of its products with one neighbour.

    Raises:
        ImageError: If the image breaks the image contract or holds no whole patch.
    """
    return _patches(image)[0]


def asymmetric_gaussian(values: np.ndarray) -> np.ndarray:
    """Fit an asymmetric generalised Gaussian by moment matching, along the last axis.

    Args:
        values: Array of shape ``(..., samples)`` around a mode at 0.

    Returns:
        Array of shape ``(..., 3)``: shape (2 is Gaussian, 1 Laplacian), left scale, right
        scale (the scale of a Gaussian is its standard deviation times the root of 2).

    Reference:
        Lasmar, Stitou and Berthoumieu, "Multiscale skewed heavy tailed model for texture
        analysis", ICIP 2009; MATLAB ``estimateaggdparam`` of NIQE.
    """
    values = np.asarray(values, np.float64)
    squares = values**2
    deviations = []
    for side in (values < 0, values > 0):
        count = np.maximum(side.sum(axis=-1), 1)
        deviations.append(np.sqrt((squares * side).sum(axis=-1) / count))
    left, right = deviations
    tiny = np.finfo(np.float64).tiny
    skew = left / np.maximum(right, tiny)
    skew = np.clip(skew, 1e-6, 1e6)  # one-sided values: keep the next line finite
    ratio = np.abs(values).mean(axis=-1) ** 2 / np.maximum(squares.mean(axis=-1), tiny)
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = np.interp(ratio, _RATIOS, _SHAPES)
    scale = np.sqrt(gamma_function(1 / shape) / gamma_function(3 / shape))
    return np.stack([shape, left * scale, right * scale], axis=-1)


def _patches(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features ``(patches, 36)`` and sharpness ``(patches,)``."""
    grey = luminance(to_uint8(check_image(image)).astype(np.float64))
    rows, columns = (side // PATCH_SIDE for side in grey.shape)
    if rows * columns == 0:
        raise ImageError(
            f"NIQE cuts {PATCH_SIDE}x{PATCH_SIDE} patches; the image has only {grey.shape} pixels."
        )
    grey = grey[: rows * PATCH_SIDE, : columns * PATCH_SIDE].astype(np.float32)
    half = Image.fromarray(grey).resize((grey.shape[1] // 2, grey.shape[0] // 2), Image.BICUBIC)
    full, deviation = _normalise(grey)
    coarse, _ = _normalise(np.asarray(half))
    values = [_statistics(full, PATCH_SIDE), _statistics(coarse, PATCH_SIDE // 2)]
    return np.concatenate(values, axis=1), _blocks(deviation, PATCH_SIDE).mean(axis=1)


def _normalise(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the local mean and divide by the local deviation (eq. 1-3), levels 0 to 255."""
    grey = grey.astype(np.float64)
    mean = gaussian_filter(grey, **_WINDOW)
    deviation = np.sqrt(np.abs(gaussian_filter(grey**2, **_WINDOW) - mean**2))
    return (grey - mean) / (deviation + 1), deviation


def _statistics(normalised: np.ndarray, patch: int) -> np.ndarray:
    shape, left, right = np.moveaxis(asymmetric_gaussian(_blocks(normalised, patch)), -1, 0)
    columns = [shape, (left + right) / 2]
    blocks = _blocks(normalised, patch).reshape(-1, patch, patch)
    for shift in _SHIFTS:
        products = blocks * np.roll(blocks, shift, axis=(1, 2))
        fit = asymmetric_gaussian(products.reshape(len(blocks), -1))
        shape, left, right = np.moveaxis(fit, -1, 0)
        mean = (right - left) * gamma_function(2 / shape) / gamma_function(1 / shape)
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def _blocks(plane: np.ndarray, size: int) -> np.ndarray:
    """Cut ``(rows * size, columns * size)`` into ``(rows * columns, size * size)``."""
    rows, columns = (side // size for side in plane.shape)
    blocks = plane.reshape(rows, size, columns, size).swapaxes(1, 2)
    return blocks.reshape(rows * columns, size * size)


def _gaussian(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    if len(values) < 2:
        raise ImageError(
            f"{name}: {len(values)} patches of {PATCH_SIDE}x{PATCH_SIDE} pixels found, but a "
            "covariance needs two or more; use a larger image "
            f"(at least {PATCH_SIDE}x{2 * PATCH_SIDE})."
        )
    return values.mean(axis=0), np.cov(values, rowvar=False)


def _fit_shipped_model() -> None:
    """Fit the shipped model again, on the well-lit LOL photos of the training scenes."""
    from lle_utils.core.images import load_image
    from lle_utils.core.paths import photo_dir

    folder = photo_dir()
    if folder is None:
        raise SystemExit("Set LLE_DATA_DIR to the folder that holds lol/train/high.")
    photos = sorted((folder / "lol" / "train" / "high").iterdir())
    description = "LOL v1, well-lit photos of the training scenes, 600x400, JPEG quality 95"
    model = fit_pristine((load_image(photo) for photo in photos), description)
    print(save_pristine(model), model.meta)


if __name__ == "__main__":
    _fit_shipped_model()
