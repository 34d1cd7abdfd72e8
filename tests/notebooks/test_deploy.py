"""What notebook 09 computes: tiles, levels of a file, the pipeline, steady video."""

import time

import numpy as np
import pytest

from lle_utils.core import images
from lle_utils.data import synthetic
from lle_utils.enhancers import classical
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("09_deploy")


@pytest.fixture(scope="module")
def low():
    normal = synthetic.synthetic_pairs(1, (200, 330), 3, synthetic.VAL_SCENES).normal[0]
    camera = synthetic.Camera(exposure=0.08, illumination=0.4, photons=4000)
    return synthetic.darken(images.to_float(normal), 0, camera)


# Tiles


@pytest.mark.parametrize(("name", "side"), [("zero_dce", 72), ("zero_dce_pp", 96)])
def test_the_overlap_of_the_card_removes_the_seams_of_local_networks(notebook, low, name, side):
    enhancer = load_enhancer(name)
    assert notebook.reach(enhancer) <= enhancer.overlap
    exact = notebook.cut(enhancer.enhance, low, side, enhancer.overlap)
    assert np.abs(exact - enhancer.enhance(low)).max() <= 2 / 255


def test_naive_tiles_have_seams(notebook, low):
    enhancer = load_enhancer("zero_dce_pp")
    whole = enhancer.enhance(low)
    naive = np.abs(notebook.cut(enhancer.enhance, low, 80) - whole).max()
    half = np.abs(notebook.cut(enhancer.enhance, low, 80, 160) - whole).max()
    assert naive > 10 / 255
    assert 2 / 255 < half < naive


@pytest.mark.parametrize("name", ["zero_dce", "zero_dce_pp"])
def test_a_pixel_is_felt_as_far_as_the_overlap_and_no_further(notebook, low, name):
    enhancer = load_enhancer(name)
    large = np.tile(low, (3, 2, 1))[:600, :648]  # 25 × 27 cells: it goes on beyond the overlap
    cells = notebook.felt(enhancer, large)
    assert min(large.shape[:2]) // 2 // enhancer.size_divisor > cells
    assert cells == enhancer.overlap // enhancer.size_divisor
    assert cells == notebook.reach(enhancer) // enhancer.size_divisor + 1  # enlarging the maps


def test_a_network_that_normalises_is_felt_everywhere(notebook, low):
    assert np.mean(notebook.change(load_enhancer("pix2pix"), low) > -7) > 0.9


def test_statistics_of_the_reduced_photo_bring_tiles_near_the_whole(notebook, low):
    enhancer = load_enhancer("pix2pix")
    whole = enhancer.enhance(low)
    naive = np.abs(notebook.cut(enhancer.enhance, low, 128) - whole).mean()
    assert np.abs(notebook.tiled(enhancer, low) - whole).mean() < naive / 2


def test_the_plan_cuts_only_what_does_not_fit(notebook, low):
    enhancer, photo = load_enhancer("mirnet"), np.tile(low, (3, 3, 1))
    per_pixel, piece, side = notebook.plan(enhancer, photo, 10**12)
    assert side is None
    assert piece > per_pixel * photo.shape[0] * photo.shape[1]
    assert notebook.plan(enhancer, photo, int(0.8 * piece))[2] >= 128


# Files


def test_more_bits_keep_more_levels(notebook):
    ramp = np.tile(np.linspace(0, 1, 500)[None, :, None], (4, 1, 3))
    shallow, deep = (notebook.shoot(ramp, 0.01, d) for d in (np.uint8, np.uint16))
    assert len(np.unique(shallow)) < 40
    assert len(np.unique(deep)) == 500
    np.testing.assert_allclose(images.to_float(deep), images.to_float(shallow), atol=0.5 / 255)


# A folder


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_overlapped_gives_what_one_by_one_gives(notebook, tmp_path, count):
    paths = [tmp_path / f"{i}.jpg" for i in range(count)]
    outcome = {}
    for way in (notebook.one_by_one, notebook.overlapped):
        done = outcome.setdefault(way, {})
        way(paths, tmp_path, (lambda p: p.stem, lambda s: s * 2, done.__setitem__))
    plain, overlapped = outcome.values()
    assert plain == overlapped
    assert plain == {tmp_path / f"{i}.png": f"{i}{i}" for i in range(count)}


def test_overlapped_reads_ahead_but_not_everything(notebook, tmp_path):
    paths = [tmp_path / f"{i}.jpg" for i in range(12)]
    read, enhanced, ahead = [], [], []

    def enhance(photo):
        time.sleep(0.02)
        enhanced.append(photo)
        ahead.append(len(read) - len(enhanced))
        return photo

    def read_one(path):
        read.append(path)
        return path

    notebook.overlapped(paths, tmp_path, (read_one, enhance, lambda *_: None))
    assert enhanced == paths
    assert 1 <= max(ahead) <= 3


@pytest.mark.parametrize("bad", ["read", "write"])
def test_overlapped_raises_what_went_wrong_in_a_helper(notebook, tmp_path, bad):
    def fail(*_):
        raise OSError("broken file")

    steps = {"read": lambda p: p, "enhance": lambda p: p, "write": lambda *_: None} | {bad: fail}
    with pytest.raises(OSError, match="broken file"):
        notebook.overlapped([tmp_path / "a.jpg"], tmp_path, tuple(steps.values()))


# Video


def grey(*values):
    return [np.full((4, 6, 3), v / 255, np.float32) for v in values]


def test_flicker_is_zero_for_a_steady_fade_and_counts_a_change_of_direction(notebook):
    assert notebook.flicker(grey(10, 20, 30, 40)) == pytest.approx(0, abs=1e-4)
    assert notebook.flicker(grey(10, 20, 10, 20)) == pytest.approx(20, rel=1e-4)


def test_smoothing_the_curve_removes_the_flicker_that_a_method_adds(notebook):
    shots = notebook.pan(12)
    gains = 4 + 0.4 * (-1) ** np.arange(12)
    film = [np.clip(gain * shot, 0, 1) for gain, shot in zip(gains, shots, strict=True)]
    film[0][0, 0] = 0  # black is no reason to divide by nothing
    smoothed = notebook.steady(shots, film)
    np.testing.assert_allclose(smoothed[0], film[0], atol=1e-6)
    assert notebook.flicker(smoothed[2:]) < notebook.flicker(film[2:]) / 3


def test_smoothing_lowers_the_flicker_of_a_network(notebook):
    shots, enhancer = notebook.pan(12), load_enhancer("pix2pix")
    film = [enhancer.enhance(shot) for shot in shots]
    assert notebook.flicker(notebook.steady(shots, film)) < 0.7 * notebook.flicker(film)


def test_a_steady_fade_of_the_light_is_left_alone(notebook):
    fade = notebook.pan(12, step=0, exposure=lambda t: 0.02 + 0.004 * t)
    film = [classical.gamma(shot) for shot in fade]
    smoothed = notebook.steady(fade, film)
    np.testing.assert_allclose(notebook.brightness(smoothed), notebook.brightness(film), atol=0.5)
    assert notebook.flicker(smoothed) < notebook.flicker(film) + 0.1
