"""Multiply-adds and memory of networks, against counts by hand."""

import keras
from keras import layers

from lle_utils.nn.complexity import bytes_per_pixel, layer_calls, multiply_adds


def test_bytes_per_pixel_counts_what_is_alive():
    low = keras.Input((None, None, 3))
    x = layers.Conv2D(16, 1)(low)
    x = layers.Conv2D(8, 1)(x)
    model = keras.Model(low, layers.Conv2D(3, 1)(x))
    assert bytes_per_pixel(model) == 4 * (16 + 8)  # input and last are not alive with both
    joined = keras.Model(low, layers.Concatenate()([low, x]))
    assert bytes_per_pixel(joined) == 4 * (3 + 16 + 8)


def test_a_model_inside_adds_its_own_maps_to_those_that_wait_outside():
    features = keras.Input((None, None, 2))
    inner = keras.Model(features, layers.Conv2D(5, 1)(layers.Conv2D(32, 1)(features)))
    low = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 1)(low)
    model = keras.Model(low, layers.Concatenate()([low, x, inner(x)]))
    assert bytes_per_pixel(model) == 4 * ((3 + 2 + 5) + (32 + 5))


def test_a_shared_convolution_counts_once_per_call_and_a_strided_one_by_its_output():
    low = keras.Input((None, None, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    x = layers.Conv2D(4, 1, strides=2)(shared(shared(low)))
    x = layers.Conv2DTranspose(3, 2, strides=2)(x)
    each = 64 * (2 * 9 * 9) + 16 * (3 * 4) + 16 * (4 * 4 * 3)
    assert multiply_adds(keras.Model(low, x), size=8) == each


def test_a_sequential_model_is_counted_alone_and_inside_another():
    sequence = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(7, 1)])
    low = keras.Input((None, None, 3))
    for model in (sequence, keras.Model(low, sequence(low))):
        assert multiply_adds(model, size=4) == 16 * 3 * 7
    assert bytes_per_pixel(sequence) == 4 * (3 + 7)


def test_a_size_that_does_not_divide_is_counted_in_proportion():
    low = keras.Input((None, None, 3))
    model = keras.Model(low, layers.Conv2D(4, 1)(low))
    assert multiply_adds(model, size_divisor=7, size=10) == 100 * 12


def test_listing_the_calls_leaves_the_network_as_it_is():
    low = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 1, name="first")(low)
    model = keras.Model(low, layers.Conv2D(3, 1, name="second")(x + x))
    output = model.layers[-1].output
    calls, _, (last,) = layer_calls(model, [(8, 6, 3)])
    assert [call.layer.name for call in calls][::2] == ["first", "second"]
    assert calls[0].outputs[0] is calls[1].inputs[0]
    assert calls[-1].outputs[0] is last
    assert last.shape == (None, 8, 6, 3)
    assert model.layers[-1].output is output is model.output
