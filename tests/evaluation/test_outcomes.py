"""What is said of a training follows from its scores."""

import numpy as np
import pytest

from lle_utils.evaluation import outcome, standing
from lle_utils.metrics import psnr

NORMAL = np.random.default_rng(0).random((24, 32, 3), np.float32) * 0.5 + 0.25


def off_by(error):
    return (NORMAL + np.float32(error)).astype(np.float32)


def test_titles_hold_the_scores_and_the_order_is_kept():
    plain = {"gamma": off_by(0.1), "auto_gamma": off_by(0.05)}
    found = outcome(0.1 * NORMAL, NORMAL, plain, {"ours": off_by(0.02)})
    names = [title.split("\n")[0] for title in found.pictures]
    assert names == ["low", "gamma", "auto_gamma", "ours", "normal"]
    for error, title in zip((0.1, 0.05, 0.02), list(found.pictures)[1:4], strict=True):
        assert f"\n{psnr(off_by(error), NORMAL):.1f} dB, SSIM " in title
    assert found.sentence.startswith("ours is above every baseline, ")


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (20.0, "above every baseline, 3.0 dB above b"),
        (17.1, "ties with the best baseline, b"),
        (15.1, "ties with a, 1.9 dB below b"),
        (16.0, "1.0 dB below b, above a"),
        (10.0, "7.0 dB below b, and below all others"),
    ],
)
def test_every_standing_has_its_words(score, said):
    assert standing("ours", score, {"a": 15.0, "b": 17.0}).endswith(said)


def test_each_learnt_result_is_judged():
    found = outcome(NORMAL, NORMAL, {"gamma": off_by(0.1)}, {"x": off_by(0.2), "y": off_by(0.05)})
    assert (
        found.sentence
        == "x is below gamma, by 6.0 dB; y is above every baseline, 6.0 dB above gamma."
    )


def test_nothing_to_compare_is_an_error():
    for plain, learnt in (({}, {"a": NORMAL}), ({"a": NORMAL}, {})):
        with pytest.raises(ValueError, match="Expected a baseline and a learnt result"):
            outcome(NORMAL, NORMAL, plain, learnt)
