"""What notebook 15 computes: a runtime in NumPy, rounding, int8, and when a runtime has paid."""

import json
import math

import numpy as np
import pytest

from lle_utils.benchmarks import speed
from lle_utils.core import images
from lle_utils.core.resizing import block_mean
from lle_utils.data import synthetic
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.metrics.pixelwise import psnr
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("15_runtimes")


@pytest.fixture(scope="module")
def low():
    normal = synthetic.synthetic_pairs(1, (200, 330), 3, synthetic.VAL_SCENES).normal[0]
    camera = synthetic.Camera(exposure=0.08, illumination=0.4, photons=4000)
    return synthetic.darken(images.to_float(normal), 0, camera)


# A runtime of a few lines


def test_numpy_draws_the_maps_that_keras_draws(notebook, low):
    enhancer = load_enhancer("zero_dce")
    maps_model, _ = notebook.split(enhancer.model)
    layers = [layer.get_weights() for layer in maps_model.layers if layer.get_weights()]
    low = images.pad_to_divisor(low, enhancer.size_divisor)
    ours = notebook.draw_maps(block_mean(low, enhancer.size_divisor), layers)
    theirs = np.asarray(maps_model.predict_on_batch(low[None]))[0]
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_curves_by_enlarged_maps_give_what_the_enhancer_gives(notebook, low):
    enhancer = load_enhancer("zero_dce")
    low = low[:192, :312]  # both sides divide by 24
    maps = notebook.enlarged_maps(enhancer, low)
    assert maps.shape == (192, 312, 24)
    result = notebook.curves_with_bits(low, maps, 24)
    np.testing.assert_allclose(result, enhancer.enhance(low), atol=1e-5)
    assert len(np.unique(notebook.curves_with_bits(low, maps, 4))) <= 16


# Parity


def test_an_export_of_one_size_is_right_at_that_size_alone(notebook, low):
    def run(photo):
        return np.flip(photo, axis=1)

    exact = images.to_float(np.random.default_rng(0).integers(0, 256, (*notebook.SIZE, 3), "uint8"))
    np.testing.assert_allclose(notebook.one_size(run, exact), run(exact), atol=1e-6)
    assert np.abs(notebook.one_size(run, low) - run(low)).max() > 0.01


# int8


def test_rounding_keeps_the_levels_and_moves_others_to_the_nearest(notebook):
    values = np.array([-1.0, -0.2, 0.1, 0.5, 0.8, 3.0])
    expected = [-0.5, -0.5 + 1 / 3, -0.5 + 2 / 3, 0.5, 0.5, 0.5]
    np.testing.assert_allclose(notebook.round_to_levels(values, -0.5, 0.5, bits=2), expected)


def test_the_error_of_rounding_is_a_step_over_the_root_of_twelve(notebook):
    values = np.random.default_rng(0).random(100_000)
    assert notebook.rounding_error(values, 1, 6) == pytest.approx(1 / 63 / math.sqrt(12), rel=0.02)
    assert notebook.rounding_error(values, 0.5, 6) > 0.1  # half of them are cut off


def test_int8_must_be_calibrated_on_what_the_network_will_see(notebook, tmp_path, low):
    pytest.importorskip("ai_edge_litert", reason="pip install 'lle-utils[export]'")
    fast = load_enhancer("zero_dce_pp")
    dark = images.to_float(synthetic.synthetic_pairs(4, (240, 360), 0, synthetic.TRAIN_SCENES).low)
    expected = fast.enhance(low)
    crops, whole = (
        psnr(notebook.int8_maps(fast, photos, tmp_path / name).enhance(low), expected)
        for name, photos in {"crops": dark[:, :120, :120], "whole": dark}.items()
    )
    assert whole > 30
    assert whole > crops + 6


# Speed


def test_the_program_tells_start_runs_and_batches():
    words = "", "zero_dce_pp", "true", "[1, 3]"
    told = json.loads(speed.run_python("-c", definitions("15_runtimes").PROGRAM, *words)[0])
    assert {key: np.size(value) for key, value in told.items() if key != "runs"} == {
        "start": 1,
        "batches": 2,
    }
    assert len(told["runs"]) >= speed.MINIMUM
    assert min(told["start"], *told["runs"], *told["batches"]) > 0


@pytest.mark.parametrize("one", [(5, 1), (5, 2)])
@pytest.mark.parametrize("other", [(1, 1), (5, 1), (9, 1), (1, 2), (9, 2), (2.5, 1.5), (7, 0.4)])
def test_who_wins_is_what_counting_says(notebook, one, other):
    counts = np.arange(1, 100)
    quicker = counts[notebook.seconds_for(counts, *other) < notebook.seconds_for(counts, *one)]
    first, last = (quicker.min(), quicker.max()) if quicker.size else (0, 0)
    said = notebook.wins(one, other)
    if not quicker.size:
        assert said == "never"
    elif quicker.size == counts.size:
        assert said == "always"
    elif last == counts[-1]:
        assert said == f"from {first} on"
    else:
        assert said == f"up to {last}"


def test_the_undivided_share_is_that_of_amdahl(notebook):
    share, threads, alone = 0.3, 4, 8.0
    several = alone * (share + (1 - share) / threads)
    assert notebook.undivided(alone, several, threads) == pytest.approx(share)


def test_a_rate_counts_all_photos(notebook):
    done = []
    assert notebook.rate(done.append, [1, 2, 3, 4, 5], workers=2) > 0
    assert sorted(done) == [1, 2, 3, 4, 5]
