"""Measure whether pairs belong together, and whether two splits show the same scene."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from skimage.exposure import match_histograms
from skimage.metrics import structural_similarity
from skimage.registration import phase_cross_correlation

from lle_utils.data.pairs import Pair, Side, read_side

THUMBNAIL_SIZE = (40, 60)  # height and width in pixels


def audit_pairs(pairs: Iterable[Pair], max_shift: float = 2.0, min_ssim: float = 0.5) -> list[dict]:
    """Measure how well the two photos of each pair agree.

    Args:
        pairs: Pairs of files.
        max_shift: Largest shift in pixels that is not flagged.
        min_ssim: Smallest similarity that is not flagged.

    Returns:
        One row per pair: ``name``, ``shift`` (pixels), ``ssim`` (after undoing the shift),
        and ``flags``, a list that may hold ``size``, ``shift`` or ``mismatch``. A large shift
        counts only if undoing it raises the similarity; otherwise it is NaN, not measurable.
        For photos of different size both numbers are NaN.
    """
    return [_audit(pair, max_shift, min_ssim) for pair in pairs]


def _audit(pair: Pair, max_shift: float, min_ssim: float) -> dict:
    low, normal = _grey(pair.low), _grey(pair.normal)
    row = {"name": pair.name, "shift": math.nan, "ssim": math.nan, "flags": ["size"]}
    if low.shape != normal.shape:
        return row
    offset, similarity = pair_shift(low, normal), matched_similarity(low, normal)
    shift = float(np.hypot(*offset))
    flags = []
    if shift > max_shift:
        undone = np.roll(low, np.rint(offset).astype(int), axis=(0, 1))
        aligned = matched_similarity(undone, normal)
        # In photos that are almost black noise may win; then undoing the shift helps nothing.
        shift, flags = (shift, ["shift"]) if aligned > similarity else (math.nan, [])
        similarity = max(aligned, similarity)
    if similarity < min_ssim:
        flags = ["mismatch"]
    return row | {"shift": shift, "ssim": similarity, "flags": flags}


def _grey(side: Side | str) -> np.ndarray:
    return read_side(side).astype(np.float32).mean(axis=-1) / 255


def pair_shift(low: np.ndarray, normal: np.ndarray) -> tuple[float, float]:
    """Measure by how much one photo is moved against the other, by phase correlation.

    Args:
        low: Grey image of shape ``(H, W)``.
        normal: Grey image of the same shape.

    Returns:
        Rows and columns by which ``low`` must be moved to lie on ``normal``, to 0.1 pixel.
    """
    window = np.outer(np.hanning(low.shape[0]), np.hanning(low.shape[1]))
    waves = []
    for image in (match_histograms(low, normal), normal):
        # Drop noise and slow light changes; the window hides that borders do not meet.
        detail = gaussian_filter(image, 1.5) - gaussian_filter(image, 8.0)
        waves.append(detail * window)
    moved, _, _ = phase_cross_correlation(
        waves[1], waves[0], upsample_factor=10, normalization=None
    )
    return float(moved[0]), float(moved[1])


def matched_similarity(low: np.ndarray, normal: np.ndarray) -> float:
    """Return the structural similarity of two grey photos once brightness plays no part.

    Both are reduced fourfold, which averages noise away, and the dark one is given the
    histogram of the other.

    Args:
        low: Grey image of shape ``(H, W)``.
        normal: Grey image of the same shape.

    Returns:
        Mean SSIM (7x7 window) in [-1, 1].
    """
    low, normal = _shrink(low), _shrink(normal)
    matched = match_histograms(low, normal)
    return float(structural_similarity(matched, normal, data_range=1.0))


def _shrink(image: np.ndarray) -> np.ndarray:
    height, width = (max(7, side // 4) for side in image.shape)
    small = Image.fromarray(np.asarray(image, np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def similar_photos(
    first: Sequence[str | os.PathLike], second: Sequence[str | os.PathLike], threshold: float = 0.9
) -> list[dict]:
    """Find photos of two lists that show the same view, whatever their brightness.

    Compares the rank order of the pixels of small grey copies, which no monotone change of
    brightness alters.

    Args:
        first: Files, such as the photos of one split.
        second: Files of the other split.
        threshold: Rank correlation from which two photos count as similar.

    Returns:
        Rows ``first``, ``second`` (file stems) and ``correlation``, most similar first.
    """
    first_ranks, second_ranks = (
        np.array([thumbnail_ranks(_grey(path)) for path in paths]).reshape(len(paths), -1)
        for paths in (first, second)
    )
    correlation = first_ranks @ second_ranks.T
    rows = [
        {
            "first": Path(first[i]).stem,
            "second": Path(second[j]).stem,
            "correlation": float(correlation[i, j]),
        }
        for i, j in np.argwhere(correlation >= threshold)
    ]
    return sorted(rows, key=lambda row: -row["correlation"])


def thumbnail_ranks(grey: np.ndarray) -> np.ndarray:
    """Return the rank order of the pixels of a small copy, which no brightening alters.

    Args:
        grey: float32 image of shape ``(H, W)``.

    Returns:
        Vector of length 1 and mean 0; the product of two is their rank correlation.
    """
    height, width = THUMBNAIL_SIZE
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BOX)
    rank = rankdata(np.asarray(small).ravel())
    rank -= rank.mean()
    return rank / max(np.linalg.norm(rank), 1e-12)
