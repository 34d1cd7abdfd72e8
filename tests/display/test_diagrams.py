"""Diagrams of networks whose boxes, rows and arrows are known."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers, ops

from lle_utils.display.diagrams import boxed, network_diagram, network_nodes
from lle_utils.enhancers.storage import load_enhancer


def kinds(nodes):
    return [(node.kind, node.label, node.level) for node in nodes]


def unet():
    photo = keras.Input((None, None, 3), name="photo")
    full = layers.Conv2D(8, 3, padding="same", activation="relu")(photo)
    half = layers.LeakyReLU()(layers.Conv2D(16, 3, 2, padding="same")(full))
    up = layers.Conv2DTranspose(8, 2, 2)(half)
    both = layers.concatenate([up, full])
    return keras.Model(photo, ops.sigmoid(layers.Conv2D(3, 1)(both)))


def test_boxes_have_kernels_channels_and_levels_and_activations_have_no_box():
    assert kinds(network_nodes(unet())) == [
        ("input", "photo", 0),
        ("convolution 3×3", "8", 0),
        ("convolution 3×3, stride 2", "16", 1),
        ("transposed convolution 2×2, stride 2", "8", 0),
        ("joined channels", "16", 0),
        ("convolution 1×1", "3", 0),
    ]


def test_arrows_come_from_what_is_taken_a_shortcut_among_them():
    photo, full, half, up, both, _ = network_nodes(unet())
    assert full.sources == [photo]
    assert half.sources == [full]
    assert up.sources == [half]
    assert [id(s) for s in both.sources] == [id(up), id(full)]


def test_pooling_the_mean_and_a_dense_layer_are_told_apart():
    photo = keras.Input((None, None, 3))
    x = layers.MaxPooling2D()(photo)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    assert kinds(network_nodes(keras.Model(photo, x))) == [
        ("input", "input", 0),
        ("pooled or enlarged", "3", 1),
        ("mean over the photo", "3", None),
        ("dense", "5", None),
    ]


def test_sums_and_products_in_a_row_are_one_box_and_those_after_a_convolution_another():
    photo = keras.Input((None, None, 3))
    curve = layers.Conv2D(3, 3, padding="same")(photo)
    x = photo + curve * (photo * photo - photo)
    later = layers.Conv2D(3, 1)(x)
    nodes = network_nodes(keras.Model(photo, x * later))
    combined = [node for node in nodes if node.kind == "sum or product"]
    assert len(combined) == 2
    assert {source.kind for source in combined[0].sources} == {"input", "convolution 3×3"}
    assert nodes[-1] is combined[1]
    assert combined[0] in combined[1].sources


def test_a_model_inside_is_one_box_or_what_it_is_made_of():
    inner = unet()
    photo = keras.Input((None, None, 3), name="low")
    half = keras.Model(inner.input, inner.output, name="half_1")
    model = keras.Model(photo, layers.Conv2D(1, 5, padding="same")(half(photo)))
    closed, opened = network_nodes(model), network_nodes(model, inside=True)
    assert kinds(closed)[1] == ("half", "3", 0)
    assert len(closed) == 3
    assert len(opened) == 7
    assert opened[-1].sources == [opened[-2]]
    assert opened[1].sources == [opened[0]]


def test_no_two_boxes_of_the_shipped_networks_have_one_place():
    for name in ("zero_dce", "pix2pix", "shed_light", "mirnet"):
        model = load_enhancer(name).model
        figure = network_diagram(model, inside=True)
        boxes = [tuple(p.get_bbox().p0) for p in figure.axes[0].patches if hasattr(p, "get_bbox")]
        assert len(set(boxes)) == len(boxes) > 8, name
        plt.close(figure)


def test_the_rows_are_named_by_the_resolution():
    figure = network_diagram(unet())
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["full size", "1/2"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "joined channels" in legend
    assert "input" not in legend
    plt.close(figure)


@pytest.mark.parametrize("width", [4.0, 9.0])
def test_a_diagram_is_no_wider_than_asked_for(width):
    figure = network_diagram(unet(), width=width)
    assert figure.get_size_inches()[0] <= max(width, 5.0)
    plt.close(figure)


def test_a_part_becomes_one_box_each_time_it_is_used_and_computes_the_same():
    def twice(filters):
        first, second = layers.Conv2D(filters, 3, padding="same"), layers.Conv2D(filters, 1)
        return lambda x: second(first(x))

    keras.utils.set_random_seed(0)
    plain, box = twice(4), boxed("twice", twice)(4)
    photo = keras.Input((None, None, 3))
    model = keras.Model(photo, box(photo) + box(photo))
    assert [node.kind for node in network_nodes(model)][1:3] == ["twice", "twice"]
    inside = [node.kind for node in network_nodes(model, inside=True)]
    assert inside.count("convolution 3×3") == 2
    image = np.random.default_rng(0).random((1, 4, 6, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    assert np.allclose(model(image), 2 * np.asarray(plain(image))) is False  # other weights
    assert np.allclose(model(image), 2 * np.asarray(box(image)), atol=1e-6)


def test_a_part_that_changes_nothing_has_no_box():
    photo = keras.Input((None, None, 3))
    box = boxed("nothing", lambda: lambda x: x)()
    assert box(photo) is photo
