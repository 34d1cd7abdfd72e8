"""Packs: what goes in comes out, without loading it, and bad files are named, never executed."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from lle_utils.core.images import read_uint8, save_image
from lle_utils.core.paths import sha256
from lle_utils.data.batches import PairStream
from lle_utils.data.npz_dataset import PackError, open_pack, pack_pairs
from lle_utils.data.pairs import find_pairs


def write_photos(root, shapes, seed=0):
    """Write noise photos of the given shapes and return the pairs."""
    rng = np.random.default_rng(seed)
    for i, shape in enumerate(shapes):
        for side in ("low", "normal"):
            image = rng.integers(256, size=(*shape, 3), dtype=np.uint8)
            save_image(root / side / f"{i}.png", image)
    return find_pairs(root / "low", root / "normal")


@pytest.fixture
def pairs(tmp_path):
    return write_photos(tmp_path, [(20, 30)] * 3)


def test_round_trip(pairs, tmp_path):
    split = {"0": "train", "1": "val", "2": "train"}
    path = pack_pairs(pairs, tmp_path / "p.npz", split=split, source="made up", licence="MIT")
    pack = open_pack(path)
    assert len(pack) == 3
    assert isinstance(pack.low, np.memmap)
    assert not pack.low.flags.writeable
    assert pack.names == ["0", "1", "2"]
    assert pack.splits == ["train", "val", "train"]
    for i, pair in enumerate(pairs):
        low, normal = pack[i]
        np.testing.assert_array_equal(low, read_uint8(pair.low))
        np.testing.assert_array_equal(normal, read_uint8(pair.normal))
    low, normal = pack.subset("val")
    np.testing.assert_array_equal(low[0], pack.low[1])
    np.testing.assert_array_equal(normal[0], pack.normal[1])
    with pytest.raises(KeyError, match="train, val"):
        pack.subset("test")


def test_meta(pairs, tmp_path):
    meta = open_pack(
        pack_pairs(pairs, tmp_path / "p.npz", crop=(10, 12), source="made up", licence="MIT")
    ).meta
    assert meta["source"] == "made up"
    assert meta["licence"] == "MIT"
    assert meta["size"] == [10, 12]
    assert meta["method"] == {"crop": [10, 12]}
    assert meta["source_sizes"] == [[20, 30]] * 3
    assert meta["sha256"]["low"] == [sha256(pair.low) for pair in pairs]
    assert meta["sha256"]["normal"] == [sha256(pair.normal) for pair in pairs]
    assert {"numpy", "pillow", "lle-utils"} == set(meta["versions"])


def test_numpy_reads_a_pack(pairs, tmp_path):
    path = pack_pairs(pairs, tmp_path / "p.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive) == {"low", "normal", "name", "split", "meta"}
        np.testing.assert_array_equal(archive["low"], open_pack(path).low)
        assert json.loads(archive["meta"].item())["size"] == [20, 30]


def test_a_pack_of_numpy_savez_opens(pairs, tmp_path):
    path = pack_pairs(pairs, tmp_path / "p.npz")
    with np.load(path) as archive:
        np.savez(tmp_path / "q.npz", **archive)
    np.testing.assert_array_equal(open_pack(tmp_path / "q.npz").normal, open_pack(path).normal)


def test_equal_inputs_give_an_equal_file(pairs, tmp_path):
    first = pack_pairs(pairs, tmp_path / "p.npz", size=(8, 8))
    second = pack_pairs(pairs, tmp_path / "q.npz", size=(8, 8))
    assert first.read_bytes() == second.read_bytes()


def test_centre_crop_box_and_resize(tmp_path):
    pairs = write_photos(tmp_path, [(20, 30), (25, 18)])
    photo = read_uint8(pairs[1].low)
    centre = open_pack(pack_pairs(pairs, tmp_path / "c.npz", crop=(10, 12)))
    np.testing.assert_array_equal(centre.low[1], photo[7:17, 3:15])
    box = open_pack(pack_pairs(pairs, tmp_path / "b.npz", crop=(2, 5, 10, 12)))
    np.testing.assert_array_equal(box.low[1], photo[2:12, 5:17])
    small = open_pack(pack_pairs(pairs, tmp_path / "s.npz", size=(5, 9)))
    assert small.normal.shape == (2, 5, 9, 3)
    assert small.normal[1].mean() == pytest.approx(read_uint8(pairs[1].normal).mean(), abs=6)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, r"1\.png is 25x18.*crop or resize"),
        ({"crop": (22, 18)}, r"0\.png is 20x30, too small"),
        ({"crop": (0, 20, 10, 12)}, r"0\.png is 20x30, too small"),
        ({"crop": (5, 5), "size": (5, 5)}, "not both"),
        ({"crop": (5,)}, "neither 2 nor 4"),
        ({"crop": (0, 5)}, "no pixels"),
        ({"size": (5, 5), "split": {"0": "train"}}, "no split is given for 1"),
    ],
)
def test_requests_that_cannot_be_met(tmp_path, options, complaint):
    pairs = write_photos(tmp_path, [(20, 30), (25, 18)])
    with pytest.raises(PackError, match=complaint):
        pack_pairs(pairs, tmp_path / "p.npz", **options)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_partners_of_different_size(pairs, tmp_path):
    save_image(pairs[1].normal, np.zeros((21, 30, 3), np.uint8))
    with pytest.raises(PackError, match=r"1\.png is 21x30 but its partner is 20x30"):
        pack_pairs(pairs, tmp_path / "p.npz", size=(4, 4))


def test_no_pairs_doubled_names_and_other_suffixes(pairs, tmp_path):
    with pytest.raises(PackError, match="no pairs"):
        pack_pairs([], tmp_path / "p.npz")
    with pytest.raises(PackError, match="several pairs are named 1"):
        pack_pairs([*pairs, pairs[1]], tmp_path / "p.npz")
    with pytest.raises(PackError, match=r"end in \.npz"):
        pack_pairs(pairs, tmp_path / "p.zip")


def test_a_failed_write_leaves_the_old_pack(pairs, tmp_path):
    path = pack_pairs(pairs, tmp_path / "p.npz")
    before = path.read_bytes()
    pairs[2].normal.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"2\.png"):
        pack_pairs(pairs, path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".partial*"))


READER = """
import resource, sys
from lle_utils.data.npz_dataset import open_pack
pack = open_pack(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(int(pack.low[i, :8, :8].sum()) for i in range(len(pack)))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(total, grown / (pack.low.nbytes / 2**20))
"""


def test_a_large_pack_is_read_without_loading_it(tmp_path):
    count, shape = 60, (512, 1024, 3)
    path = tmp_path / "large.npz"
    photos = np.zeros((count, *shape), np.uint8)
    photos[:, 0, 0, 0] = np.arange(count)
    text = np.array([str(i) for i in range(count)])
    np.savez(path, low=photos, normal=photos, name=text, split=text, meta=np.array("{}"))
    done = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    total, grown = done.stdout.split()
    assert int(total) == sum(range(count))
    assert float(grown) < 1 / 3  # of one side, which loading it would take


def test_a_pack_feeds_a_stream(pairs, tmp_path):
    pack = open_pack(pack_pairs(pairs, tmp_path / "p.npz", split={"0": "a", "1": "b", "2": "a"}))
    stream = PairStream(*pack.subset("a"), crop=8, batch_size=2)
    arrays = PairStream(pack.low[[0, 2]], pack.normal[[0, 2]], crop=8, batch_size=2)
    for one, other in zip(stream[0], arrays[0], strict=True):
        np.testing.assert_array_equal(one, other)


def contents(**changes):
    """Arrays of a valid pack, with changes; None removes a key."""
    photos = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    text = np.array(["a", "b"])
    arrays = {"low": photos, "normal": photos, "name": text, "split": text, "meta": np.array("{}")}
    return {key: value for key, value in (arrays | changes).items() if value is not None}


def test_the_helper_makes_a_valid_pack(tmp_path):
    np.savez(tmp_path / "p.npz", **contents())
    assert open_pack(tmp_path / "p.npz").names == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"normal": None}, "lacks normal"),
        ({"meta": None, "split": None}, "lacks split, meta"),
        ({"low": np.zeros((2, 4, 5, 3), np.float32)}, "low is float32"),
        ({"low": np.zeros((2, 4, 5), np.uint8)}, "expected uint8"),
        ({"low": np.zeros((0, 4, 5, 3), np.uint8)}, "expected uint8"),
        (
            {"low": np.asfortranarray(np.zeros((2, 4, 5, 3), np.uint8))},
            "low is pickled or not in C",
        ),
        ({"normal": np.zeros((2, 5, 4, 3), np.uint8)}, "do not belong together"),
        ({"name": np.array(["a"])}, "do not belong together"),
        ({"name": np.array([1, 2])}, "name has dtype"),
        ({"meta": np.array("no json")}, "meta is not JSON"),
        ({"meta": np.array("[1, 2]")}, "expected a JSON object"),
    ],
)
def test_wrong_contents_are_named(tmp_path, changes, complaint):
    path = tmp_path / "bad.npz"
    np.savez(path, **contents(**changes))
    with pytest.raises(PackError, match=rf"bad\.npz.*{complaint}"):
        open_pack(path)


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.makedirs, (self.path, 0o777, True))


@pytest.mark.parametrize("key", ["low", "name", "meta"])
def test_a_pickle_is_refused_and_never_executed(tmp_path, key):
    path, trace = tmp_path / "bad.npz", tmp_path / "executed"
    np.savez(path, **contents(**{key: np.array([Bomb(trace), Bomb(trace)], dtype=object)}))
    with np.load(path, allow_pickle=True) as archive:
        archive[key]
    assert trace.exists()  # the bomb is live
    trace.rmdir()
    with pytest.raises(PackError, match=r"bad\.npz.*pickled"):
        open_pack(path)
    assert not trace.exists()


def test_raw_pickle_in_place_of_an_array(tmp_path):
    import pickle

    path, trace = tmp_path / "bad.npz", tmp_path / "executed"
    np.savez(tmp_path / "good.npz", **contents())
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, pickle.dumps(Bomb(trace)) if name == "low.npy" else good.read(name))
    with pytest.raises(PackError, match=r"bad\.npz: low is not a plain array"):
        open_pack(path)
    assert not trace.exists()


def test_compressed_packs_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "bad.npz", **contents())
    with pytest.raises(PackError, match=r"bad\.npz: low is compressed"):
        open_pack(tmp_path / "bad.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path, share):
    np.savez(tmp_path / "good.npz", **contents())
    whole = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PackError, match=r"bad\.npz is damaged or not a pack"):
        open_pack(path)


def test_an_array_shorter_than_its_header_says_is_refused(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(tmp_path / "good.npz", **contents())
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name)[:-7] if name == "normal.npy" else good.read(name))
    with pytest.raises(PackError, match=r"bad\.npz: normal is truncated"):
        open_pack(path)


def test_flipped_bits_in_the_names_are_noticed(tmp_path):
    np.savez(tmp_path / "p.npz", **contents(name=np.array(["first", "second"])))
    path = tmp_path / "bad.npz"
    path.write_bytes((tmp_path / "p.npz").read_bytes().replace(b"f\0\0\0i", b"F\0\0\0i"))
    with pytest.raises(PackError, match=r"bad\.npz is damaged"):
        open_pack(path)


def test_no_zip_and_no_file(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    os.rename(tmp_path / "array.npy", tmp_path / "bad.npz")
    with pytest.raises(PackError, match=r"bad\.npz is damaged or not a pack"):
        open_pack(tmp_path / "bad.npz")
    with pytest.raises(FileNotFoundError):
        open_pack(tmp_path / "none.npz")
