"""Streams: what is in a batch, and that `fit` sees exactly the batches it should."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from lle_utils.core.images import ImageError, to_float
from lle_utils.data.batches import PairStream, PhotoStream, transform


def coded_photos(count=5, height=20, width=28):
    """Photos whose pixels say which photo they are from and where they were."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack(
        [np.stack([np.full_like(rows, 10 * i), rows, columns], -1) for i in range(count)]
    ).astype(np.uint8)


def decode(batch):
    """Recover photo, rows and columns from a batch of `coded_photos`."""
    values = np.rint(batch * 255).astype(int)
    return values[..., 0] // 10, values[..., 1], values[..., 2]


def test_batch_contract():
    stream = PhotoStream(coded_photos(), crop=8, batch_size=3)
    batch = stream[0]
    assert batch.shape == (3, 8, 8, 3)
    assert batch.dtype == np.float32
    assert len(stream) == 2  # just enough for five photos
    assert len(list(stream)) == 2
    with pytest.raises(IndexError):
        stream[2]


def test_crops_lie_inside_one_photo_and_move_about():
    stream = PhotoStream(coded_photos(), crop=8, batch_size=4, steps=60, augment=False)
    tops, lefts = [], []
    for batch in stream:
        photos, rows, columns = decode(batch)
        for photo, row, column in zip(photos, rows, columns, strict=True):
            assert len(np.unique(photo)) == 1
            np.testing.assert_array_equal(row, row[0, 0] + np.arange(8)[:, None] + np.zeros((8, 8)))
            np.testing.assert_array_equal(
                column, column[0, 0] + np.arange(8)[None] + np.zeros((8, 8))
            )
            tops.append(row[0, 0])
            lefts.append(column[0, 0])
    assert set(tops) == set(range(20 - 8 + 1))  # every place can be drawn, edges included
    assert set(lefts) == set(range(28 - 8 + 1))


def test_every_photo_comes_once_before_any_comes_again():
    stream = PhotoStream(coded_photos(5), crop=4, batch_size=3, steps=5, epoch=2)
    seen = np.concatenate([decode(batch)[0][:, 0, 0] for batch in stream])
    for turn in range(3):
        assert sorted(seen[5 * turn : 5 * turn + 5]) == [0, 1, 2, 3, 4]
    assert list(seen[:5]) != list(seen[5:10]) or list(seen[:5]) != list(seen[10:15])


def test_the_eight_symmetries_are_all_different_and_all_used():
    patch = np.arange(2 * 2 * 3, dtype=np.float32).reshape(2, 2, 3)
    forms = {transform(patch, s).tobytes() for s in range(8)}
    assert len(forms) == 8
    assert transform(patch, 0).tobytes() == patch.tobytes()
    photo = coded_photos(1, 6, 6)
    stream = PhotoStream(photo, crop=6, batch_size=8, steps=20)
    seen = {row.tobytes() for batch in stream for row in batch}
    assert seen == {
        np.ascontiguousarray(transform(to_float(photo[0]), s)).tobytes() for s in range(8)
    }


def test_pairs_are_cropped_and_turned_alike():
    low = coded_photos()
    normal = 255 - low
    stream = PairStream(low, normal, crop=8, batch_size=4, steps=10)
    for dark, light in stream:
        np.testing.assert_allclose(dark, 1 - light, atol=1e-6)
        assert not np.array_equal(dark, light)


def test_content_depends_on_seed_epoch_and_index_alone():
    options = {"crop": 8, "batch_size": 3, "steps": 4}
    first = PhotoStream(coded_photos(), seed=1, epoch=3, **options)
    second = PhotoStream(list(coded_photos()), seed=1, epoch=3, **options)
    list(second)  # reading in between changes nothing
    np.testing.assert_array_equal(first[2], second[2])
    np.testing.assert_array_equal(
        first[2], PhotoStream(coded_photos(), seed=1, **options).batch(3, 2)
    )
    batches = [
        first.batch(3, 2),
        first.batch(3, 1),
        first.batch(2, 2),
        PhotoStream(coded_photos(), seed=2, **options).batch(3, 2),
    ]
    assert len({batch.tobytes() for batch in batches}) == 4


def test_photos_of_different_sizes_and_float_photos():
    photos = [coded_photos(1, 9, 30)[0], coded_photos(1, 25, 10)[0]]
    whole = PhotoStream(photos, crop=9, batch_size=2)[0]
    floats = PhotoStream([to_float(photo) for photo in photos], crop=9, batch_size=2)[0]
    np.testing.assert_array_equal(whole, floats)


def test_a_memory_map_streams(tmp_path):
    np.save(tmp_path / "photos.npy", coded_photos())
    mapped = np.load(tmp_path / "photos.npy", mmap_mode="r")
    options = {"crop": 8, "batch_size": 2, "seed": 3}
    np.testing.assert_array_equal(
        PhotoStream(mapped, **options)[1], PhotoStream(coded_photos(), **options)[1]
    )


@pytest.mark.parametrize(
    ("low", "normal", "complaint"),
    [
        (coded_photos(3), coded_photos(4), "numbers of photos"),
        ([], [], "numbers of photos"),
        (coded_photos(2), coded_photos(2, 20, 30), "Pair 0 has differing shapes"),
        (coded_photos(2, 7, 30), coded_photos(2, 7, 30), "smaller crop"),
    ],
)
def test_wrong_pairs_are_refused(low, normal, complaint):
    with pytest.raises(ValueError, match=complaint):
        PairStream(low, normal, crop=8, batch_size=2)


def test_wrong_photos_are_refused():
    with pytest.raises(ImageError, match=r"photos\[1\] has shape"):
        PhotoStream([coded_photos(1)[0], np.zeros((20, 20), np.uint8)], crop=8, batch_size=1)
    with pytest.raises(ImageError, match="divide 8-bit values"):
        PhotoStream([np.full((20, 20, 3), 80.0)], crop=8, batch_size=1)
    with pytest.raises(ValueError, match="mixes 8-bit and float"):
        PhotoStream([coded_photos(1)[0], to_float(coded_photos(1)[0])], crop=8, batch_size=1)
    with pytest.raises(ValueError, match="batch_size=0"):
        PhotoStream(coded_photos(), crop=8, batch_size=0)


class Recorder(keras.layers.Layer):
    """Keep the mean of each batch that reaches the model, in order."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def build(self, shape):
        self.means = self.add_weight(shape=(self.steps,), initializer="zeros", trainable=False)
        self.place = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32")
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs, training=False):
        if training:
            index = keras.ops.reshape(self.place, (1, 1))
            mean = keras.ops.reshape(keras.ops.mean(inputs), (1,))
            self.means.assign(keras.ops.scatter_update(self.means, index, mean))
            self.place.assign(self.place + 1)
        return inputs * self.scale


class SlowStart(keras.callbacks.Callback):
    """Give a prefetching thread time to run ahead at every boundary."""

    def on_epoch_begin(self, epoch, logs=None):
        import time

        time.sleep(0.02)

    on_epoch_end = on_epoch_begin


def seen_by_fit(first, epochs, steps=3):
    """Train with `fit` from epoch ``first`` and return the mean of each batch seen."""
    photos = np.random.default_rng(0).integers(256, size=(7, 20, 28, 3), dtype=np.uint8)
    stream = PairStream(
        photos, 255 - photos, crop=8, batch_size=2, seed=9, steps=steps, epoch=first
    )
    inputs = keras.Input((8, 8, 3))
    recorder = Recorder(steps * (epochs - first))
    model = keras.Model(inputs, recorder(inputs))
    model.compile("sgd", "mse", jit_compile=keras.backend.backend() == "jax")
    model.fit(
        stream,
        epochs=epochs,
        initial_epoch=first,
        shuffle=False,
        verbose=0,
        callbacks=[SlowStart()],
    )
    assert stream.epoch == epochs
    expected = [
        float(stream.batch(e, i)[0].mean()) for e in range(first, epochs) for i in range(steps)
    ]
    return np.asarray(recorder.means).tolist(), expected


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_fit_sees_the_batches_of_each_epoch_in_order(steps):
    if keras.backend.backend() == "jax" and steps == 1:
        pytest.skip("one batch per epoch needs the epoch set by a callback under JAX")
    seen, expected = seen_by_fit(first=0, epochs=4, steps=steps)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    assert len({round(value, 6) for value in expected}) == len(expected)


def test_fit_from_a_later_epoch_sees_the_tail():
    whole, _ = seen_by_fit(first=0, epochs=4)
    tail, _ = seen_by_fit(first=2, epochs=4)
    np.testing.assert_allclose(tail, whole[6:], rtol=1e-6)


JAX_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import keras, test_batches as t
assert keras.backend.backend() == "jax"
photos = t.coded_photos()
stream = t.PairStream(photos, 255 - photos, crop=8, batch_size=3, seed=5, epoch=2)
digest = [[float(x.sum()) for x in batch] + [batch[0].tobytes().hex()] for batch in stream]
seen, expected = t.seen_by_fit(first=1, epochs=3)
assert "tensorflow" not in sys.modules
print(json.dumps({"digest": digest, "seen": seen, "expected": expected}))
"""


def test_the_jax_backend_gives_equal_batches():
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", JAX_SCRIPT, os.path.dirname(__file__)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    under_jax = json.loads(done.stdout.splitlines()[-1])
    photos = coded_photos()
    stream = PairStream(photos, 255 - photos, crop=8, batch_size=3, seed=5, epoch=2)
    for (low_sum, normal_sum, low_bytes), (low, normal) in zip(
        under_jax["digest"], stream, strict=True
    ):
        assert low.tobytes().hex() == low_bytes
        assert [float(low.sum()), float(normal.sum())] == [low_sum, normal_sum]
    np.testing.assert_allclose(under_jax["seen"], under_jax["expected"], rtol=1e-5)
