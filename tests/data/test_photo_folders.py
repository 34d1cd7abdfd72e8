"""A folder is what it holds: pairs, pictures of two halves, well-lit or dark photos alone."""

import numpy as np
import pytest

from lle_utils.core.images import ImageError, read_uint8, save_image, to_float
from lle_utils.data.pairs import PairError, join_pair, read_side
from lle_utils.data.photo_folders import SourceError, collect
from lle_utils.data.raw import write_dng
from lle_utils.data.raw_camera import RawCamera
from lle_utils.data.synthetic import sample_scenes


def test_pairs(tmp_path, write_pairs):
    made = write_pairs(tmp_path, low="Dark", normal="GT")
    found = collect(tmp_path)
    assert found.kind == "pairs of photos"
    assert sorted(pair.name for pair in found.pairs) == sorted(made.names)
    assert found.splits is found.scenes is None


def test_pictures_side_by_side(tmp_path, write_pairs):
    made = write_pairs(tmp_path / "apart", count=5, size=(64, 64))
    for name, low, normal in zip(made.names, made.low, made.normal, strict=True):
        save_image(tmp_path / "joined" / f"{name}.png", join_pair(low, normal))
    found = collect(tmp_path / "joined")
    assert found.kind == "pairs side by side"
    pair = next(pair for pair in found.pairs if pair.name == made.names[1])
    np.testing.assert_array_equal(read_side(pair.low), made.low[1])
    np.testing.assert_array_equal(read_side(pair.normal), made.normal[1])


def test_well_lit_photos_get_dark_twins_that_stay_the_same(tmp_path, write_noise):
    write_noise(tmp_path, [110, 120, 130])
    found = collect(tmp_path)
    twins = [read_side(pair.low) for pair in found.pairs]
    assert all(
        low.mean() < read_uint8(pair.normal).mean() / 1.5
        for low, pair in zip(twins, found.pairs, strict=True)
    )
    (tmp_path / "0.png").unlink()  # a photo's twin does not depend on the others
    for low, pair in zip(twins[1:], collect(tmp_path).pairs, strict=True):
        np.testing.assert_array_equal(read_side(pair.low), low)
    other = collect(tmp_path, seed=1).pairs[0]
    assert (read_side(other.low) != twins[1]).any()


def test_dark_photos(tmp_path, write_noise):
    write_noise(tmp_path, [10, 20, 30])
    found = collect(tmp_path)
    assert found.kind == "dark photos"
    assert [pair.normal for pair in found.pairs] == [None] * 3


@pytest.mark.parametrize(("side", "kind"), [("low", "dark photos"), ("normal", "well-lit photos")])
def test_a_folder_of_one_side_says_what_its_photos_are(tmp_path, write_noise, side, kind):
    write_noise(tmp_path / side, [10, 120])
    assert collect(tmp_path).kind.startswith(kind)


def test_splits_that_the_folder_gives(tmp_path, write_pairs):
    made = write_pairs(tmp_path / "train", count=4)
    for name in made.names[2:]:  # two of them are for validation instead
        for side in ("low", "normal"):
            (tmp_path / "val" / side).mkdir(parents=True, exist_ok=True)
            (tmp_path / "train" / side / f"{name}.png").rename(
                tmp_path / "val" / side / f"{name}.png"
            )
    found = collect(tmp_path)
    assert [found.splits[name] for name in made.names] == ["train"] * 2 + ["val"] * 2
    for side in ("low", "normal"):
        source = tmp_path / "train" / side / f"{made.names[0]}.png"
        (tmp_path / "val" / side / f"{made.names[0]}.png").write_bytes(source.read_bytes())
    with pytest.raises(PairError, match=f"two splits: {made.names[0]}"):
        collect(tmp_path)


def test_what_a_folder_is_not(tmp_path, write_pairs, write_noise):
    with pytest.raises(FileNotFoundError, match="holds no photos, and none of the folders low"):
        collect(tmp_path)
    write_noise(tmp_path, [10, 120])
    with pytest.raises(SourceError, match=r"dark photos \(0\.png\) and well-lit ones \(1\)"):
        collect(tmp_path)
    write_pairs(tmp_path, count=1)
    with pytest.raises(SourceError, match="holds folders of sides and photos; keep one"):
        collect(tmp_path)


@pytest.mark.parametrize("sides", [("low", "dark"), ("low", "normal", "gt")])
def test_two_folders_for_one_side(tmp_path, write_noise, sides):
    for side in sides:
        write_noise(tmp_path / side, [20])
    with pytest.raises(PairError, match="keep one of them"):
        collect(tmp_path)


@pytest.mark.parametrize("side", ["low", "normal"])
def test_an_empty_side(tmp_path, side):
    (tmp_path / side).mkdir()
    with pytest.raises(FileNotFoundError, match="holds no photos"):
        collect(tmp_path)


def test_raw_files_are_developed(tmp_path):
    for module in ("rawpy", "tifffile"):
        pytest.importorskip(module, reason=f"camera raw needs {module}")
    cat = to_float(sample_scenes()["chelsea"])
    for left in (0, 100, 200):
        write_dng(tmp_path / f"{left}.dng", RawCamera().shoot(cat[:80, left : left + 120]))
    found = collect(tmp_path)
    assert found.kind.startswith("well-lit photos")
    low, normal = (read_side(side) for side in found.pairs[0][1:])
    assert low.shape == normal.shape == (80, 120, 3)
    assert low.mean() < normal.mean()


def test_dark_raw_files_are_dark_photos(tmp_path):
    for module in ("rawpy", "tifffile"):
        pytest.importorskip(module, reason=f"camera raw needs {module}")
    for name, photo in sample_scenes().items():
        write_dng(tmp_path / f"{name}.dng", RawCamera().shoot(to_float(photo)[:80, :120], 50))
    assert collect(tmp_path).kind == "dark photos"


def test_raw_files_beside_photos_are_two_kinds(tmp_path, write_noise):
    write_noise(tmp_path, [120])
    (tmp_path / "a.dng").write_bytes(b"raw")
    with pytest.raises(SourceError, match="holds photos and camera raw files"):
        collect(tmp_path)


def test_raw_files_that_cannot_be_read(tmp_path):
    (tmp_path / "a.dng").write_bytes(b"raw")
    with pytest.raises(ImageError, match=r"a\.dng is no readable camera raw"):
        collect(tmp_path)


def test_a_photo_that_cannot_be_read_does_not_decide(tmp_path, write_noise):
    write_noise(tmp_path, [120, 130])
    (tmp_path / "2.png").write_bytes(b"no image")
    assert [pair.name for pair in collect(tmp_path).pairs] == ["0", "1", "2"]
    for name in ("0.png", "1.png"):
        (tmp_path / name).unlink()
    with pytest.raises(ImageError, match=r"No photo can be read: .*2\.png"):
        collect(tmp_path)


def test_wide_photos_are_no_pictures_of_two_halves(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        save_image(tmp_path / f"{i}.png", rng.integers(60, 200, (40, 120, 3), np.uint8))
    assert collect(tmp_path).kind.startswith("well-lit")
