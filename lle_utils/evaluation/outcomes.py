"""What came of a training, in a row of pictures and in a sentence that follows from the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lle_utils.metrics.pixelwise import psnr
from lle_utils.metrics.structural import ssim

TIE = 0.2  # dB: nearer than that, nobody sees which is better


class Outcome(NamedTuple):
    """Results for one photo, judged.

    Attributes:
        pictures: Title, with the scores, -> picture: the dark photo, the results, the well-lit one.
        sentence: How each learnt result stands to the baselines.
    """

    pictures: dict[str, np.ndarray]
    sentence: str


def outcome(
    low: np.ndarray,
    normal: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    learnt: Mapping[str, np.ndarray],
) -> Outcome:
    """Compare what networks make of a photo with what methods without training make of it.

    Args:
        low, normal: A pair of float images ``(H, W, 3)`` in [0, 1].
        baselines: Name -> result of a method without training.
        learnt: Name -> result of a network.

    Returns:
        Pictures and sentence. Scores are blind PSNR and SSIM; the sentence goes by PSNR.

    Raises:
        ValueError: If there is no baseline or nothing learnt.
    """
    if not baselines or not learnt:
        raise ValueError("Expected a baseline and a learnt result, one at least of each.")
    results = {**baselines, **learnt}
    scores = {name: psnr(image, normal) for name, image in results.items()}
    titled = {
        f"{name}\n{scores[name]:.1f} dB, SSIM {ssim(image, normal):.2f}": image
        for name, image in results.items()
    }
    known = {name: scores[name] for name in baselines}
    said = "; ".join(standing(name, scores[name], known) for name in learnt)
    return Outcome({"low": low, **titled, "normal": normal}, f"{said}.")


def standing(name: str, score: float, baselines: Mapping[str, float]) -> str:
    """Say how a PSNR stands to those of baselines; within `TIE` it is a tie.

    >>> standing("ours", 17.0, {"gamma": 15.0, "auto_gamma": 16.5})
    'ours is above every baseline, 0.5 dB above auto_gamma'
    >>> standing("ours", 15.1, {"gamma": 15.0, "auto_gamma": 16.5})
    'ours ties with gamma, 1.4 dB below auto_gamma'
    >>> standing("ours", 13.0, {"gamma": 15.0})
    'ours is below gamma, by 2.0 dB'
    """
    best = max(baselines, key=baselines.get)
    gap = score - baselines[best]
    if gap > TIE:
        return f"{name} is above every baseline, {gap:.1f} dB above {best}"
    tied = [other for other, value in baselines.items() if abs(score - value) <= TIE]
    if best in tied:
        return f"{name} ties with the best baseline, {best}"
    if tied:
        return f"{name} ties with {tied[0]}, {-gap:.1f} dB below {best}"
    if len(baselines) == 1:
        return f"{name} is below {best}, by {-gap:.1f} dB"
    beaten = [other for other, value in baselines.items() if score > value]
    rest = f"above {', '.join(beaten)}" if beaten else "and below all others"
    return f"{name} is {-gap:.1f} dB below {best}, {rest}"
