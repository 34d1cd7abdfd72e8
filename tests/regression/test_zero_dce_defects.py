"""Defects of public Zero-DCE code outside the loss formulas; those are in test_losses.py.

Every check is written once. It has to pass on this suite and to fail on the faulty version,
which is kept here in the fewest lines that show the fault.
"""

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.core.backend import compile_options
from lle_utils.data.batches import PhotoStream
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("03_zero_dce")


def holds(check, *arguments) -> bool:
    """Say whether a check passes."""
    try:
        check(*arguments)
    except AssertionError:
        return False
    return True


# The value logged for an epoch is that of its last batch (keras.io before 2023).

DIM, BRIGHT = (np.full((1, 32, 32, 3), level, "float32") for level in (0.1, 0.5))


class TwoBatches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (DIM, BRIGHT)[index]


def exposure_by_mean(notebook):
    """Train as the notebook does, at a learning rate of zero; return the logged exposure."""
    trainer = notebook.ZeroReference(notebook.dce_net_pp(1), [1.0, 1.0, 1.0, 1.0], 0.6, "paper")
    for weight in trainer.network.weights:
        weight.assign(np.zeros(weight.shape, "float32"))  # maps of zero change nothing
    trainer.compile(keras.optimizers.SGD(0.0), **compile_options())
    return trainer.fit(TwoBatches(), shuffle=False, verbose=0).history["exposure"][0]


def exposure_of_last_batch(notebook):
    return float(notebook.exposure_control_loss(BRIGHT, 0.6))


def check_epoch_mean(measure, notebook):
    assert measure(notebook) == pytest.approx((0.5 + 0.1) / 2, abs=1e-4)


def test_the_logged_value_is_the_mean_of_the_epoch(notebook):
    assert holds(check_epoch_mean, exposure_by_mean, notebook)
    assert not holds(check_epoch_mean, exposure_of_last_batch, notebook)


# Photos that do not fill a batch are dropped (seed 2: 350 photos, batches of 64, 320 used),
# and photos are squashed to a square without any augmentation (keras.io).


def photos(count):
    return [np.full((24, 36, 3), i, np.uint8) for i in range(count)]


def with_remainder(count, batch):
    stream = PhotoStream(photos(count), 16, batch)
    return [stream[i] for i in range(len(stream))]


def without_remainder(count, batch):
    stream = PhotoStream(photos(count), 16, batch)
    return [stream[i] for i in range(count // batch)]


def check_all_are_seen(batches_of):
    seen = np.unique(np.concatenate(batches_of(35, 8))[:, 0, 0, 0] * 255)
    assert len(seen) == 35


def test_no_photo_is_dropped():
    assert holds(check_all_are_seen, with_remainder)
    assert not holds(check_all_are_seen, without_remainder)


def cropped(photo):
    return PhotoStream([photo], 16, 1, augment=False)[0][0]


def squashed(photo):
    return ops.convert_to_numpy(ops.image.resize(photo / np.float32(255), (16, 16)))


def check_slopes_survive(prepare):
    """A photo 36 wide and 24 high whose slopes are one level a pixel keeps them."""
    rows, columns = np.mgrid[:24, :36]
    photo = np.repeat((rows + columns)[..., None], 3, axis=-1).astype(np.uint8)
    down, across = (np.abs(np.diff(prepare(photo) * 255, axis=axis)).mean() for axis in (0, 1))
    assert down == pytest.approx(1, abs=0.01)
    assert across == pytest.approx(1, abs=0.01)


def test_photos_are_not_squashed():
    assert holds(check_slopes_survive, cropped)
    assert not holds(check_slopes_survive, squashed)


def test_every_photo_is_flipped_and_turned():
    photo = np.arange(16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    stream = PhotoStream([photo], 16, 64)
    assert len(np.unique(stream[0], axis=0)) == 8


# Weights start as N(0, 0.02); Keras' default is about three times as wide here.


def check_starts_small(network):
    kernels = [w for w in network.weights if w.path.endswith("kernel")]
    for kernel in kernels:
        assert np.std(np.asarray(kernel)) == pytest.approx(0.02, rel=0.1)


def test_weights_start_small(notebook):
    def convolution(filters, activation="relu"):
        return keras.layers.Conv2D(filters, 3, padding="same", activation=activation)

    low = keras.Input((None, None, 3))
    default = keras.Model(low, notebook.estimate_maps(low, convolution, 24))
    assert holds(check_starts_small, notebook.dce_net())
    assert not holds(check_starts_small, default)


# tanh is applied to the maps twice (FastDCE of restorers), which keeps |r| below 0.762.


def maps_of(network, low):
    return ops.convert_to_numpy(network(low)[1])


def maps_with_tanh_twice(network, low):
    return np.tanh(maps_of(network, low))


def check_maps_reach_one(measure, network):
    for weight in network.weights[-2:]:  # the last convolution
        weight.assign(np.full(weight.shape, 9, "float32"))
    low = np.random.default_rng(0).random((1, 16, 16, 3)).astype("float32")
    assert np.abs(measure(network, low)).max() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("build", ["dce_net", "dce_net_pp"])
def test_maps_pass_through_one_tanh(notebook, build):
    network = notebook.dce_net() if build == "dce_net" else notebook.dce_net_pp(1)
    assert holds(check_maps_reach_one, maps_of, network)
    assert not holds(check_maps_reach_one, maps_with_tanh_twice, network)


# Trained on dark photos alone, nothing teaches the network to leave a bright photo alone.


def exposures(dark, mixed, share, notebook):
    return [photo.mean() / 255 for photo in notebook.mix(dark, mixed, share, 0)]


def check_bright_photos_are_seen(share, notebook):
    dark, mixed = notebook.synthetic_photos(10, 0)
    assert max(exposures(dark, mixed, share, notebook)) > 0.5


def test_training_sees_bright_photos(notebook):
    assert holds(check_bright_photos_are_seen, 0.3, notebook)
    assert not holds(check_bright_photos_are_seen, 0.0, notebook)
