"""What is measured of enhancers with one known fault each, and what is said about it."""

import functools
import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter, zoom

from lle_utils.core.images import ImageError, luminance
from lle_utils.data import test_scenes
from lle_utils.data.synthetic import Camera, darken, sample_scenes
from lle_utils.evaluation import behavior
from lle_utils.evaluation.records import RecordError

JUDGED = [measure for measure, limit in behavior.LIMITS.items() if limit.bound is not None]


@pytest.fixture(scope="module", autouse=True)
def scenes_once():
    """Make the test scenes once, and the exposures of two of the bundled photos."""
    exposed = {
        stop: {name: found[name] for name in ("chelsea", "coffee")}
        for stop, found in test_scenes.exposed_scenes().items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_scenes, "exposed_scenes", lambda: exposed)
        for name in ("chart_scenes", "step_scenes", "plain_images"):
            patch.setattr(test_scenes, name, functools.cache(getattr(test_scenes, name)))
        yield


@functools.cache
def dark_photo():
    window = sample_scenes()["chelsea"][60:220, 120:320] / 255
    return darken(window, 0, Camera(exposure=0.2, photons=1500, read_noise=0.003))


def measure(enhance, photos=None, factors=(2,)):
    photos = [("cat", dark_photo())] if photos is None else photos
    return behavior.measure_behavior("trial", enhance, photos, data="a cat", factors=factors)


def missed(record):
    return {m for m, s in record["summary"].items() if s["passes"] is False}


def blurred(photo, sigma):
    return gaussian_filter(photo, (sigma, sigma, 0), mode="nearest")


def below_white(result, photo):
    return np.clip(result, 0, np.where(photo < 1, 254 / 255, 1))


def smoothed(photo):
    return 0.7 * photo + 0.3 * blurred(photo, 0.8)


def tinted(photo):
    return np.clip(photo + np.array([0, 0, 3 / 255]), 0, 1)


def grey_world(photo):
    """Balance white by the mean of all that has a colour, a tenth of the way."""
    colored = photo[np.ptp(photo, axis=-1) > 6 / 255]
    if len(colored) < 0.3 * photo[..., 0].size:
        return photo
    gains = (luminance(colored.mean(axis=0)) / colored.mean(axis=0)) ** 0.1
    return below_white(photo * gains, photo)


def darkening_a_band(photo):
    return np.where((photo > 0.3) & (photo < 0.36), photo - 0.06, photo)


def sharpened(photo):
    return below_white(photo + 0.12 * (photo - blurred(photo, 6)), photo)


def gridded(photo):
    lines = np.add.outer(*(np.arange(length) % 8 == 0 for length in photo.shape[:2]))
    return np.clip(photo + 3 / 255 * lines[..., None], 0, 1)


def clipping(photo):
    return np.where(photo > 0.96, 1, photo)


def brightened(photo):
    return np.clip(photo + 0.04 * np.sqrt(4 * photo * (1 - photo)), 0, 1)


def framed(photo):
    weight = uniform_filter(np.ones((*photo.shape[:2], 1)), (5, 5, 1), mode="constant")
    return photo * (0.97 + 0.03 * weight)


def sized(photo):
    """Do something that depends on the number of pixels."""
    return np.clip(photo + 0.04 * (photo.shape[0] * photo.shape[1] > 640**2), 0, 1)


def noisy(photo):
    return np.clip(photo + np.random.default_rng(0).normal(0, 0.004, (*photo.shape[:2], 1)), 0, 1)


def test_doing_nothing_keeps_every_limit_but_that_of_noise():
    record = measure(lambda photo: photo, factors=(2, 4))
    assert missed(record) == {"noise"}
    assert record["values"]["noise"] == {"cat": 1.0}
    assert record["values"]["size_4x"] == {"cat": behavior.LARGEST_PSNR}
    assert not record["passes"]
    assert set(record["values"]) | {"size_8x"} == set(behavior.LIMITS)


def test_a_little_smoothing_keeps_every_limit():
    record = measure(smoothed)
    assert missed(record) == set()
    assert record["passes"]
    assert behavior.verdict(record) == f"trial keeps {len(JUDGED) - 2} of {len(JUDGED) - 2} limits."


@pytest.mark.parametrize(
    ("fault", "measures"),
    [
        (tinted, {"grey"}),
        (grey_world, {"white_balance"}),
        (darkening_a_band, {"darkened"}),
        (sharpened, {"overshoot"}),
        (gridded, {"grid"}),
        (clipping, {"newly_clipped"}),
        (brightened, {"mean_change"}),
        (framed, {"frame"}),
        (noisy, {"noise"}),
    ],
)
def test_a_fault_misses_its_limit_and_no_other(fault, measures):
    assert missed(measure(fault)) | {"noise"} == measures | {"noise"}


def test_noise_is_judged_where_there_is_some():
    clean = np.add.outer(np.linspace(0.1, 0.2, 160), np.linspace(0.1, 0.3, 200))
    clean = clean[..., None].repeat(3, axis=2)
    record = measure(lambda photo: photo, [("clean", clean), ("cat", dark_photo())])
    assert list(record["values"]["noise"]) == ["cat"]
    record = measure(lambda photo: photo, [("clean", clean)])
    assert "noise" not in record["summary"]
    assert record["passes"]


def test_what_depends_on_the_size_is_found():
    photo = dark_photo()
    expected = -20 * np.log10(0.04)  # as far as nothing clips
    record = measure(sized)
    assert max(photo.shape) < behavior.PREVIEW_SIDE  # it is brought to it first
    assert record["values"]["size_2x"]["cat"] == pytest.approx(expected, abs=0.01)
    assert "size_2x" in missed(record)


def test_a_large_photo_is_reduced_before_it_is_enlarged():
    sides = []

    def watched(photo):
        sides.append(max(photo.shape))
        return photo

    photo = np.tile(dark_photo(), (1, 4, 1))  # 800 pixels wide
    measure(watched, [("wide", photo)])
    assert sides[:4] == [800, 800, 640, 1280]  # the photo, in grey, reduced, enlarged again
    measure(watched, [("wide", photo[:, :640])], factors=())
    assert max(sides[-30:]) <= 640


def test_blocks_of_an_enlarged_network_are_found():
    """Features at an eighth of the size, copied to 8x8 pixels each, as a crude decoder does."""

    def blocky(photo):
        height, width = photo.shape[:2]
        coarse = zoom(photo, (1 / 8, 1 / 8, 1), order=1, grid_mode=True, mode="nearest")
        copied = coarse.repeat(8, axis=0).repeat(8, axis=1)
        padding = ((0, max(height - len(copied), 0)), (0, max(width - copied.shape[1], 0)), (0, 0))
        return np.clip(np.pad(copied, padding, mode="edge")[:height, :width], 0, 1)

    record = measure(blocky)
    assert record["values"]["grid"]["slope"] > behavior.LIMITS["grid"].bound
    assert record["values"]["grid"]["constant 50"] == 0


def test_a_photo_with_too_much_light_may_become_darker():
    record = measure(lambda photo: photo * (0.7 if photo.mean() > 0.55 else 1))
    assert "darkened" not in missed(record)
    assert not any("+2 EV" in name for name in record["values"]["darkened"])
    assert any("+2 EV" in name for name in record["values"]["newly_clipped"])


def test_results_that_are_no_image_are_refused():
    with pytest.raises(ImageError, match=r"trial made \(80, 100, 3\)"):
        measure(lambda photo: photo[::2, ::2])
    with pytest.raises(ImageError, match="the result of trial contains NaN"):
        measure(lambda photo: photo * np.nan)
    with pytest.raises(ImageError, match="the result of trial has dtype uint8"):
        measure(lambda photo: (255 * photo).astype(np.uint8))
    with pytest.raises(RecordError, match="no photos"):
        measure(lambda photo: photo, [])
    with pytest.raises(RecordError, match="two photos are called cat"):
        measure(lambda photo: photo, [("cat", dark_photo())] * 2)
    with pytest.raises(ValueError, match="factor 3"):
        measure(lambda photo: photo, factors=(2, 3))


@pytest.mark.parametrize(
    ("sense", "below", "at", "above", "text"),
    [("≥", 0, 1, 1, "≥ 2 dB"), ("≤", 1, 1, 0, "≤ 2 dB"), ("<", 1, 0, 0, "< 2 dB")],
)
def test_a_limit_holds_on_its_side(sense, below, at, above, text):
    limit = behavior.Limit(sense, 2.0, "dB", "")
    assert [limit.holds(value) for value in (1.9, 2.0, 2.1)] == [below, at, above]
    assert limit.text() == text
    assert limit.worst({"a": 1.0, "b": 3.0}) == ("a" if sense == "≥" else "b")
    unjudged = behavior.Limit(sense, None, "dB", "")
    assert unjudged.holds(1e9)
    assert unjudged.text() == "–"


def _record(method, noise):
    values = {"noise": noise, "newly_black": dict.fromkeys(noise, 3.0)}
    return behavior._record(method, "two photos", values)


def test_table_and_sentences_follow_from_the_values():
    records = {
        "good": _record("good", {"a": 0.5, "b": 0.25}),
        "bad": _record("bad", {"a": 0.9, "b": 12.34}),
    }
    lines = behavior.behavior_table(records).splitlines()
    assert lines[0] == "| measure | limit | good | bad |"
    assert "| newly_black: values newly at 0 | – | 3.00 | 3.00 |" in lines
    row = next(line for line in lines if line.startswith("| noise"))
    assert row.endswith("| < 1 x | 0.50 ✓ | 12.3 ✗ (1 of 2) |")
    assert "Worst image of each; photos: two photos." in lines
    assert lines[-2] == "- good keeps 1 of 1 limits."
    assert lines[-1] == (
        "- bad keeps 0 of 1 limits; it misses noise on 1 of 2 images (12.34 on b, limit < 1 x)."
    )
    assert records["good"]["summary"]["noise"]["mean"] == 0.375
    assert records["good"]["passes"]
    with pytest.raises(RecordError, match="noise of b is inf"):
        _record("bad", {"a": 1.0, "b": np.inf})


def test_each_miss_is_told_in_a_few_words():
    found = {"worst": 65.25, "limit": "≤ 2 levels", "passes": False}
    summary = {"grey": found, "darkened": {**found, "passes": True}, "glow": {"passes": None}}
    told = behavior.misses({"summary": summary})
    assert told == ["colour in a grey photo: 65.2 levels (limit ≤ 2 levels)"]


def test_a_measure_that_a_record_lacks_is_a_dash():
    small = _record("small", {"a": 0.5})
    large = json.loads(json.dumps(small))
    del large["summary"]["noise"]
    row = next(
        line
        for line in behavior.behavior_table({"small": small, "large": large}).splitlines()
        if line.startswith("| noise")
    )
    assert row.endswith("| 0.50 ✓ | – |")


def test_records_survive_the_file_and_damage_is_named(tmp_path):
    with pytest.raises(FileNotFoundError):
        behavior.load_behavior(tmp_path)
    records = {"good": _record("good", {"a": 0.5})}
    path = behavior.save_behavior(records, tmp_path)
    assert path == tmp_path / "behavior.json"
    assert behavior.load_behavior(tmp_path) == records
    for text in ("[]", '{"kind": "evaluation", "schema": 1}', '{"kind": "behavior", "schema": 9}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecordError, match="no record of behaviour"):
            behavior.load_behavior(tmp_path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(RecordError, match="not JSON"):
        behavior.load_behavior(tmp_path)
