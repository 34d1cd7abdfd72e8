"""A few pairs to measure on: of LOL where it is, else of the synthetic camera."""

import numpy as np
import pytest

from lle_utils.core.images import save_image
from lle_utils.data import synthetic
from lle_utils.data.samples import default_source, sample_pairs


@pytest.fixture
def lol(tmp_path, monkeypatch):
    """Six pairs of one colour: the level is the number of the pair, ten times that if well lit."""
    for number in range(6):
        for kind, level in (("low", number), ("high", 10 * number)):
            photo = np.full((4, 6, 3), level, np.uint8)
            save_image(tmp_path / "lol" / "val" / kind / f"{number}.png", photo)
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [0]), (2, [0, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3, 4, 5])]
)
def test_photos_of_lol_are_spread_over_the_split(lol, count, chosen):
    pairs = list(sample_pairs("val", count, (99, 99)))
    assert default_source() == "lol"
    assert [low[0, 0, 0] for low, _ in pairs] == chosen
    assert [normal[0, 0, 0] for _, normal in pairs] == [10 * number for number in chosen]
    assert {photo.shape for pair in pairs for photo in pair} == {(4, 6, 3)}


def test_lol_that_is_missing_is_not_replaced(lol):
    with pytest.raises(FileNotFoundError, match=r"LOL v1 \(train\) was not found"):
        next(sample_pairs("train", 1, (20, 30)))


def test_without_photos_they_are_synthetic_and_splits_share_no_scene(monkeypatch):
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)
    assert default_source() == "synthetic"
    for split, scenes in (("train", synthetic.TRAIN_SCENES), ("val", synthetic.VAL_SCENES)):
        expected = synthetic.synthetic_pairs(2, (20, 30), 0, scenes)
        lows, normals = zip(*sample_pairs(split, 2, (20, 30)), strict=True)
        np.testing.assert_array_equal(lows, expected.low)
        np.testing.assert_array_equal(normals, expected.normal)
