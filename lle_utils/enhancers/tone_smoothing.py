"""Tone curves of videos: measured, smoothed over time, and the flicker that is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lle_utils.core.images import BT601, as_float, luminance, to_uint8

DEFAULT_SMOOTHING = 0.5  # share that the frames before have in the tone curve of a frame

CUT_DISTANCE = 0.12  # `scene_distance` from which a frame begins a new scene

TONE_BINS = 64  # points of a tone curve
GAIN_LEVELS = 1024  # of luminance, for which the step between two curves is computed
_WEIGHTS = BT601.astype(np.float32)  # in float64 it would take several times as long

MEMORY = 0.95  # share of the flicker so far that counts on in the next frame
SHARE_STEP = 0.1  # by which smoothing fades in or out from frame to frame


class VideoError(ValueError):
    """A file that holds no usable video, or one that cannot be written."""


def mean_luminance(image: np.ndarray) -> float:
    """Return the mean BT.601 luminance of a float32 image ``(H, W, 3)``, not linearised."""
    return float((image @ _WEIGHTS).mean(dtype=np.float64))


def tone_sums(light: np.ndarray, enhanced: np.ndarray) -> np.ndarray:
    """Measure the global tone curve of a frame: output luminance by input luminance.

    Args:
        light: Luminance of the input, any shape, in [0, 1].
        enhanced: Luminance of the result, same shape.

    Returns:
        ``(3, TONE_BINS)``: the pixels in each bin of input luminance, the sum of their input and
        the sum of their output. The curve goes through the means, ``sums[1:] / sums[0]``; sums
        of several frames can be added or averaged. Bins are equally wide in the square root of
        luminance, because dark videos have most of their pixels in few levels.

    >>> sums = tone_sums(np.array([0.09, 0.09, 1.0]), np.array([0.2, 0.4, 0.9]))
    >>> sums[:, [19, 63]].round(3).tolist()  # 0.3 * 64 = 19.2
    [[2.0, 1.0], [0.18, 1.0], [0.6, 0.9]]
    """
    bins = np.minimum((np.sqrt(light) * TONE_BINS).astype(int), TONE_BINS - 1).ravel()
    weights = (None, light.ravel(), enhanced.ravel())
    return np.stack([np.bincount(bins, weight, TONE_BINS) for weight in weights])


def tone_gain(light: np.ndarray, own: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Compute the factor that takes each pixel from a frame's own tone curve to a smooth one.

    Args:
        light: Luminance of the frame before enhancement, any shape.
        own: `tone_sums` of the frame.
        smooth: Those of several frames, weighted.

    Returns:
        ``(s(l) + e) / (c(l) + e)`` for the curves s and c, read linearly between bins that the
        frame has pixels in; e is one 8-bit level, so that black divides too.

    >>> light = np.array([0.04, 0.25])
    >>> own, smooth = tone_sums(light, light), tone_sums(light, light * 2 + 1 / 255)
    >>> tone_gain(light, own, smooth).round(6).tolist()
    [2.0, 2.0]
    """
    seen = own[0] > 0
    one_level = 1 / 255
    curves = []
    for count, inputs, outputs in (smooth[:, seen], own[:, seen]):
        curves.append(np.interp(light, inputs / count, outputs / count) + one_level)
    return curves[0] / curves[1]


def scene_distance(before: np.ndarray, after: np.ndarray) -> float:
    """Compute how far the luminance of one frame is from that of the next.

    Args:
        before, after: Counts of pixels by 8-bit level, ``(256,)``, of the same total.

    Returns:
        Wasserstein distance of the histograms (how many levels a pixel must move on average)
        relative to the mean level of both, which makes dark scenes comparable with light ones.
        Levels start at 1, so that black counts.

    >>> dark, light = np.eye(256)[[9, 29]]
    >>> scene_distance(dark, light)  # 20 levels, mean 20
    1.0
    """
    shares = np.stack([before / before.sum(), after / after.sum()])
    moved = np.abs(np.cumsum(shares[0] - shares[1])).sum()
    return float(moved / (shares.mean(axis=0) @ np.arange(1, 257)))


def cut_detector() -> Callable[[np.ndarray], bool]:
    """Return a function that tells, frame after frame, whether one begins a new scene.

    It takes the luminance of a frame, any shape, in [0, 1]; the first frame is no cut.
    """
    histogram = None

    def is_cut(light: np.ndarray) -> bool:
        nonlocal histogram
        levels = to_uint8(np.clip(light, 0, 1)).ravel()
        before, histogram = histogram, np.bincount(levels, minlength=256)
        return before is not None and scene_distance(before, histogram) > CUT_DISTANCE

    return is_cut


def level_per_shot(
    method: Callable[[np.ndarray, float], np.ndarray], choose: Callable[[np.ndarray], float]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a method for frames that keeps one level from a cut to the next.

    Args:
        method: Takes a frame ``(H, W, 3)``, uint8 or float in [0, 1], and a level.
        choose: Chooses a level for the first frame of each shot, such as `default_level`.
    """
    starts_shot, level = cut_detector(), None

    def enhance(low: np.ndarray) -> np.ndarray:
        nonlocal level
        if starts_shot(luminance(as_float(low))) or level is None:
            level = choose(low)
        return method(low, level)

    return enhance


def smoother(smoothing: float = DEFAULT_SMOOTHING) -> Callable[[np.ndarray, np.ndarray], tuple]:
    """Return a function that keeps the tone of a video steady, to call frame after frame.

    An exponential moving average of `tone_sums` gives the smooth curve. Bins count by their
    pixels, so a level that few pixels have says little. At a cut the average starts again.

    This steadies the method, not the video: the flicker of a compressed dark input passes through
    the smooth curve enlarged. A method that happens to counteract it is better left alone, see
    `steadier`.

    Args:
        smoothing: Share of the past in the average, from 0 (off) to below 1.

    Returns:
        A function from a frame and its enhanced version, float ``(H, W, 3)`` in [0, 1], to the
        enhanced version with the smooth tone, clipped, and whether it begins a new scene.

    Raises:
        VideoError: If the smoothing is not in that range.
    """
    follow = gain_follower(smoothing)

    def smooth(low: np.ndarray, enhanced: np.ndarray) -> tuple[np.ndarray, bool]:
        gains, is_cut = follow(low, enhanced)
        return enhanced if gains is None else toned(low, enhanced, gains), is_cut

    return smooth


def gain_follower(smoothing: float = DEFAULT_SMOOTHING) -> Callable[..., tuple]:
    """Return what `smoother` decides by, which some pixels of each frame are enough for.

    Args:
        smoothing: As for `smoother`.

    Returns:
        A function from the arguments of a `smoother` to the gains for `toned`, or None where
        nothing is to be changed, and whether the frame begins a new scene.

    Raises:
        VideoError: If the smoothing is not in its range.
    """
    if not 0 <= smoothing < 1:
        raise VideoError(f"smoothing is {smoothing:g}; expected 0 (off) to below 1.")
    starts_scene, average = cut_detector(), None

    def follow(low: np.ndarray, enhanced: np.ndarray) -> tuple[np.ndarray | None, bool]:
        nonlocal average
        light = np.clip(low @ _WEIGHTS, 0, 1)
        is_cut = starts_scene(light)
        if not smoothing:
            return None, is_cut
        own = tone_sums(light, enhanced @ _WEIGHTS)
        if average is None or is_cut:
            average = own
            return None, is_cut
        average = smoothing * average + (1 - smoothing) * own
        gains = tone_gain(np.linspace(0, 1, GAIN_LEVELS), own, average)
        return gains.astype(np.float32), is_cut

    return follow


def toned(low: np.ndarray, enhanced: np.ndarray, gains: np.ndarray, share: float = 1) -> np.ndarray:
    """Multiply each pixel by the gain for its brightness before enhancement.

    Args:
        low, enhanced: A frame, float32 ``(H, W, 3)`` in [0, 1].
        gains: By luminance, at `GAIN_LEVELS` equal steps.
        share: How much of the gains is applied, from 0, none, to 1.

    Returns:
        float32 image of the same shape in [0, 1].
    """
    light = np.clip(low @ _WEIGHTS, 0, 1)
    light *= GAIN_LEVELS - 1
    light += 0.5
    gains = 1 + np.float32(share) * (gains - 1)
    product = enhanced * gains.take(light.astype(np.intp))[..., None]
    return np.clip(product, 0, 1, out=product)


def steadier() -> Callable[[float, float, bool], float]:
    """Return a function that tells, frame after frame, whether smoothing does good.

    It follows the `flicker` of both results within a shot; what lies longer ago counts less.

    Returns:
        A function from the mean luminance of a frame's own result, that of the smoothed one, and
        whether the frame begins a new scene, to the share that the smoothed one shall have in
        what is shown: 1 at first, and then on the way to 1 or 0, by `SHARE_STEP` in each frame so
        that the change is not seen.
    """
    means: list[tuple[float, float]] = []
    flickers, share = np.zeros(2), 1.0

    def weigh(own: float, smooth: float, is_cut: bool) -> float:
        nonlocal flickers, share
        if is_cut:
            means.clear()
            flickers, share = np.zeros(2), 1.0
        means.append((own, smooth))
        if len(means) < 3:
            return share
        newest = np.abs(np.diff(means[-3:], n=2, axis=0))[0]
        flickers = MEMORY * flickers + newest
        wanted = SHARE_STEP if flickers[1] <= flickers[0] else -SHARE_STEP
        share = min(max(share + wanted, 0.0), 1.0)
        return share

    return weigh


def flicker(means: Sequence[float], cuts: Sequence[int] = ()) -> float:
    """Compute the flicker of a video: mean absolute second difference of its brightness.

    Args:
        means: Mean luminance of each frame, in [0, 1].
        cuts: Indices of the frames that begin a new scene; no difference reaches across them.

    Returns:
        8-bit levels, lower is better. A steady fade scores zero, and so do fewer than three
        frames. Frames count as equally far apart.

    >>> flicker([0.2, 0.3, 0.4, 0.5]) < 1e-9
    True
    >>> round(flicker([0.4, 0.6, 0.4, 0.6]), 6)  # 0.2 up, 0.2 down: 0.4 of 255 levels
    102.0
    """
    differences = np.abs(np.diff(np.asarray(means, float), n=2))
    across = {index - back for index in cuts for back in (1, 2)}
    kept = [value for start, value in enumerate(differences) if start not in across]
    return float(255 * np.mean(kept)) if kept else 0.0
