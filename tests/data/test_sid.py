"""See-in-the-Dark: a small tree of its layout, of frames that the synthetic sensor took."""

import numpy as np
import pytest

from lle_utils.core.exposure import linear_to_srgb
from lle_utils.core.images import ImageError, to_float
from lle_utils.data.pairs import PairError
from lle_utils.data.photo_folders import SourceError
from lle_utils.data.raw import write_dng
from lle_utils.data.raw_batches import RawPairStream
from lle_utils.data.raw_camera import RawCamera, mosaic
from lle_utils.data.sid import raw_pairs, read_pair
from lle_utils.data.sources import load
from lle_utils.data.synthetic import sample_scenes

pytest.importorskip("rawpy", reason="camera raw needs rawpy")
pytest.importorskip("tifffile", reason="writing DNG needs tifffile")

SCENES = ("00001", "00002", "10003", "10034", "20004")
SHORT, LONG = ("0.04", "0.1"), "10"


@pytest.fixture
def tree(tmp_path):
    """A folder as the archive unpacks; the files are DNG of that name, which LibRaw finds out."""
    base = tmp_path / "sid_sony" / "Sony"
    photos = list(sample_scenes().values())
    for number, scene in enumerate(SCENES):
        photo = to_float(photos[number % 5])[:96, :160]
        write(base / "long" / f"{scene}_00_{LONG}s.ARW", RawCamera().shoot(photo, 1, number))
        for i, seconds in enumerate(SHORT):
            ratio = float(LONG) / float(seconds)
            frame = RawCamera().shoot(photo, ratio, number + i)
            write(base / "short" / f"{scene}_0{i}_{seconds}s.ARW", frame)
    return base


def write(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dng(path.with_suffix(".dng"), frame).rename(path)


def list_file(tree, split, scenes):
    lines = [
        f"./Sony/short/{scene}_0{i}_{seconds}s.ARW ./Sony/long/{scene}_00_{LONG}s.ARW ISO200 F8"
        for scene in scenes
        for i, seconds in enumerate(SHORT)
    ]
    path = tree.parent / f"Sony_{split}_list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_names_tell_scene_split_and_ratio(tree):
    train = raw_pairs(tree.parent, "train")
    assert [pair.name for pair in train] == [
        "00001_00_0.04s",
        "00001_01_0.1s",
        "00002_00_0.04s",
        "00002_01_0.1s",
    ]
    assert {pair.scene for pair in train} == {"00001", "00002"}
    assert [pair.ratio for pair in train[:2]] == [pytest.approx(250), pytest.approx(100)]
    assert {pair.scene for pair in raw_pairs(tree, "test")} == {"10003"}  # 10034 is misaligned
    assert {pair.scene for pair in raw_pairs(tree, "val")} == {"20004"}


def test_lists_come_before_names(tree):
    list_file(tree, "train", ["00002"])
    assert {pair.scene for pair in raw_pairs(tree.parent, "train")} == {"00002"}


def test_ratios_are_cut_off_as_the_authors_do(tree):
    short = tree / "short" / "00001_00_0.04s.ARW"
    short.rename(short.with_name("00001_00_0.01s.ARW"))
    assert raw_pairs(tree, "train")[0].ratio == 300


def test_what_is_missing_is_named(tree):
    (tree / "long" / f"00002_00_{LONG}s.ARW").unlink()
    with pytest.raises(PairError, match="no long exposure for 00002_00"):
        raw_pairs(tree, "train")
    list_file(tree, "train", ["00001", "00007"])
    with pytest.raises(PairError, match=r"names files that are not there: 00007_00_0\.04s"):
        raw_pairs(tree, "train")


def test_names_without_a_time(tree):
    short = tree / "short" / "00001_00_0.04s.ARW"
    short.rename(short.with_name("00001.ARW"))
    with pytest.raises(PairError, match=r"00001\.ARW: expected a name such as"):
        raw_pairs(tree, "train")


def test_folders_that_hold_no_such_pairs(tmp_path):
    with pytest.raises(SourceError, match="no folders `short` and `long`"):
        raw_pairs(tmp_path, "train")
    for side in ("short", "long"):
        (tmp_path / side).mkdir()
    with pytest.raises(SourceError, match="no pairs of raw files for val"):
        raw_pairs(tmp_path, "val")


def test_a_pair_is_a_dark_frame_and_the_photo_it_should_be(tree):
    frame, target = read_pair(raw_pairs(tree, "train")[0])
    assert frame.planes.shape == (48, 80, 4)
    assert target.shape == (96, 160, 3)
    assert target.dtype == np.uint16
    light = frame.planes * 250 * np.array(frame.gains)[[0, 1, 1, 2]]
    assert linear_to_srgb(np.clip(light.mean((0, 1)), 0, 1))[1] == pytest.approx(
        linear_to_srgb((to_float(target).astype(float) ** 2.2).mean()), abs=0.1
    )


def test_a_long_exposure_that_cannot_be_read_is_named(tree):
    pair = raw_pairs(tree, "train")[0]
    pair.long.write_bytes(b"junk" * 40)
    with pytest.raises(ImageError, match=r"00001_00_10s\.ARW is no readable camera raw"):
        read_pair(pair)


def test_a_stream_cuts_both_at_the_same_place(tree):
    pairs = raw_pairs(tree, "train")
    stream = RawPairStream(pairs, 64, 3, 5, seed=1)
    assert len(stream) == 5
    raw, photo = stream[2]
    assert (raw.shape, photo.shape) == ((3, 32, 32, 4), (3, 64, 64, 3))
    assert raw.dtype == photo.dtype == np.float32
    for planes, seen in zip(raw, photo, strict=True):
        wanted = mosaic(seen)[..., 1]
        assert np.corrcoef(planes[..., 1].ravel(), wanted.ravel())[0, 1] > 0.3
    again = RawPairStream(pairs, 64, 3, 5, seed=1).batch(0, 2)
    np.testing.assert_array_equal(raw, again[0])
    assert (RawPairStream(pairs, 64, 3, 5, seed=2)[2][0] != raw).any()
    assert (stream.batch(1, 2)[0] != raw).any()


def test_all_pairs_come_up(tree):
    stream = RawPairStream(raw_pairs(tree, "train"), 64, 2, 4)
    seen = {stream._member(place).name for place in range(4)}
    assert len(seen) == 4


def test_numbers_that_make_no_stream(tree):
    pairs = raw_pairs(tree, "train")
    for bad in ((pairs, 63, 2, 4), ([], 64, 2, 4), (pairs, 64, 0, 4)):
        with pytest.raises(ValueError, match="expected 1 or more"):
            RawPairStream(*bad)
    with pytest.raises(ValueError, match="smaller than crops of 128x128"):
        RawPairStream(pairs, 128, 1, 1)[0]


def test_notebooks_for_photos_get_it_developed_and_reduced(
    tree, tmp_path, monkeypatch, pack_folder
):
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    train, test = (load("sid_sony", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 2)
    _, low, normal = train[0]
    assert low.shape == normal.shape == (24, 40, 3)
    assert normal.mean() > 5 * low.mean()
    assert "MIT for the authors' repository" in train.licence
