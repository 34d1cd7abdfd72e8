"""Known defects of other projects' data code.

Each faulty formula is written out, and the check that ours passes must fail on it.
"""

import numpy as np
import pytest

from lle_utils.core.images import load_image, read_uint8, save_image, to_uint8
from lle_utils.data import pairs as data
from lle_utils.data import scenes as scenes_module
from lle_utils.data import splits
from lle_utils.data.batches import PairStream
from lle_utils.data.npz_dataset import PackError, open_pack
from lle_utils.data.pack_writer import pack_pairs


def fails(check, *args):
    """Say whether a check raises AssertionError."""
    try:
        check(*args)
    except AssertionError:
        return True
    return False


# Pairing by position in an unsorted directory listing.


def faulty_pairs(low_listing, normal_listing):
    return [data.Pair(low.stem, low, normal) for low, normal in zip(low_listing, normal_listing)]  # noqa: B905


def check_pairs_share_their_stem(pairs):
    assert all(pair.low.stem == pair.normal.stem == pair.name for pair in pairs)


def test_pairing_by_directory_order(tmp_path, monkeypatch):
    names = ["1", "2", "10", "11"]
    for side in ("low", "normal"):
        for name in names:
            save_image(tmp_path / side / f"{name}.png", np.zeros((2, 2, 3), np.uint8))
    low, normal = ([tmp_path / s / f"{n}.png" for n in names] for s in ("low", "normal"))
    check_pairs_share_their_stem(data.find_pairs(tmp_path / "low", tmp_path / "normal"))
    # A file system may list either folder in any order.
    assert fails(check_pairs_share_their_stem, faulty_pairs(low, normal[::-1]))
    # One missing file shifts all later pairs, even when both listings are sorted.
    assert fails(check_pairs_share_their_stem, faulty_pairs(low[1:], normal))
    low[0].unlink()
    with pytest.raises(data.PairError, match="low for 1"):
        data.find_pairs(tmp_path / "low", tmp_path / "normal")


# Arrays saved without names, so that arr_0 is the well-lit side and arr_1 the dark one.


def faulty_pack(path, low, normal):
    np.savez(path, normal, low)


def faulty_open(path):
    with np.load(path) as archive:
        return archive["arr_0"], archive["arr_1"]  # the reader expects low, normal


def check_low_is_darker(low, normal):
    assert low.mean() < normal.mean()


def test_packs_name_their_arrays(tmp_path):
    save_image(tmp_path / "low" / "a.png", np.full((4, 5, 3), 10, np.uint8))
    save_image(tmp_path / "normal" / "a.png", np.full((4, 5, 3), 200, np.uint8))
    pairs = data.find_pairs(tmp_path / "low", tmp_path / "normal")
    pack = open_pack(pack_pairs(pairs, tmp_path / "ours.npz"))
    check_low_is_darker(pack.low, pack.normal)
    faulty_pack(tmp_path / "theirs.npz", pack.low, pack.normal)
    assert fails(check_low_is_darker, *faulty_open(tmp_path / "theirs.npz"))
    with pytest.raises(PackError, match=r"theirs\.npz lacks low, name"):
        open_pack(tmp_path / "theirs.npz")


# Packs of float32 values, four times as large as the photos.


def check_one_byte_per_value(low):
    assert low.dtype.itemsize == 1


def test_packs_hold_eight_bits(tmp_path):
    photo = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for side in ("low", "normal"):
        save_image(tmp_path / side / "a.png", photo)
    pairs = data.find_pairs(tmp_path / "low", tmp_path / "normal")
    check_one_byte_per_value(open_pack(pack_pairs(pairs, tmp_path / "ours.npz")).low)
    theirs = np.stack([read_uint8(pair.low).astype(np.float32) for pair in pairs])
    assert fails(check_one_byte_per_value, theirs)


# A paired flip that returns the dark photo in place of the reference.


def faulty_paired_flip(low, normal, flip):
    if flip:
        low, normal = low[:, ::-1], low[:, ::-1]
    return low, normal


def check_reference_survives(batches, reference):
    """Each crop of the reference must be the reference of the same photo, turned alike."""
    for low, normal in batches:
        np.testing.assert_allclose(normal, reference(low), atol=1e-6)
        assert not np.allclose(low, normal)


def test_paired_augmentation_keeps_the_reference():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 60, size=(4, 12, 12, 3), dtype=np.uint8)
    stream = PairStream(low, low + 100, crop=12, batch_size=4, steps=6)

    def reference(dark):
        return dark + np.float32(100 / 255)

    check_reference_survives(stream, reference)
    theirs = [
        faulty_paired_flip(dark, reference(dark), flip)
        for flip, (dark, _) in zip((False, True), list(stream)[:2], strict=True)
    ]
    assert fails(check_reference_survives, theirs, reference)
    # Shapes and ranges, all that a superficial test looks at, are right.
    assert theirs[1][1].shape == theirs[1][0].shape


def test_flips_happen_at_all():
    """The check above would pass for a stream that never flips, where the defect sleeps."""
    low = np.random.default_rng(1).integers(0, 60, size=(1, 12, 12, 3), dtype=np.uint8)
    stream = PairStream(low, low + 100, crop=12, batch_size=8, steps=8)
    assert len({dark.tobytes() for batch, _ in stream for dark in batch}) == 8


# Truncating instead of rounding to 8 bits.


def faulty_to_uint8(image):
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def check_rounding_is_unbiased(convert):
    image = np.linspace(0, 1, 10_001, dtype=np.float32)
    error = convert(image).astype(np.float64) / 255 - image
    assert abs(error.mean()) < 1e-4
    assert np.abs(error).max() <= 0.5 / 255 + 1e-6


def test_saving_rounds(tmp_path):
    check_rounding_is_unbiased(to_uint8)
    assert fails(check_rounding_is_unbiased, faulty_to_uint8)
    image = np.full((2, 3, 3), 0.7, np.float32)  # 178.5
    save_image(tmp_path / "a.png", image)
    assert np.abs(load_image(tmp_path / "a.png") - image).max() <= 0.5 / 255 + 1e-6


# A random split by image, which puts one scene on both sides.


def faulty_split(names, share, seed):
    order = np.random.default_rng(seed).permutation(names).tolist()
    cut = round(share * len(order))
    return {"train": order[:cut], "val": order[cut:]}


def check_splits_share_no_scene(split, scenes):
    try:
        splits.check_no_leak(split["train"], split["val"], scenes)
    except splits.LeakError as error:
        raise AssertionError(str(error)) from error


def test_splitting_by_image_leaks():
    scenes = scenes_module.load_scenes()
    names = list(scenes_module.scene_map(scenes))
    ours = splits.split_by_scene(names, scenes, {"train": 0.9, "val": 0.1}, seed=0)
    check_splits_share_no_scene(ours, scenes)
    assert fails(check_splits_share_no_scene, faulty_split(names, 0.9, seed=0), scenes)
