"""The registered layers: closed forms, unknown sizes, saving."""

import keras
import numpy as np
import pytest

from lle_utils.layers import UpsampleBilinear


def test_a_constant_stays_constant_and_a_ramp_a_ramp():
    layer = UpsampleBilinear(4)
    ramp = np.tile(np.arange(6, dtype="float32")[:, None, None], (1, 5, 2))[None]
    large = keras.ops.convert_to_numpy(layer(ramp))
    assert large.shape == (1, 24, 20, 2)
    inside = large[0, 2:-2, 0, 0]  # the outermost half pixel repeats the edge
    np.testing.assert_allclose(np.diff(inside), 0.25, atol=1e-6)
    np.testing.assert_allclose(large[0, :2, 0, 0], 0, atol=1e-6)


def test_unknown_height_and_width_inside_a_nested_model_and_after_saving(tmp_path):
    inner = keras.Sequential([keras.Input((None, None, 3)), UpsampleBilinear(3)])
    outer_input = keras.Input((None, None, 3))
    model = keras.Model(outer_input, inner(outer_input))
    assert model.output_shape == (None, None, None, 3)
    low = np.random.default_rng(0).random((2, 5, 7, 3)).astype("float32")
    before = model.predict(low, verbose=0)
    model.save(tmp_path / "m.keras")
    after = keras.saving.load_model(tmp_path / "m.keras").predict(low, verbose=0)
    assert before.shape == (2, 15, 21, 3)
    np.testing.assert_array_equal(before, after)


def test_the_factor_is_checked():
    with pytest.raises(ValueError, match="factor is 0"):
        UpsampleBilinear(0)
