"""Packs: what goes in comes out, without loading it, and bad files are named, never executed."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from lle_utils.core.images import read_uint8, save_image
from lle_utils.core.paths import sha256
from lle_utils.data.batches import PairStream
from lle_utils.data.npz_dataset import VERSION, PackError, open_pack
from lle_utils.data.pack_writer import pack_pairs
from lle_utils.data.pairs import Pair, find_pairs


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
    split, scenes = {"0": "train", "1": "val", "2": "train"}, {"0": 7, "1": 8, "2": 7}
    path = pack_pairs(pairs, tmp_path / "p.npz", split=split, scenes=scenes)
    pack = open_pack(path)
    assert len(pack) == 3
    assert isinstance(pack.low, np.memmap)
    assert not pack.low.flags.writeable
    assert pack.names == ["0", "1", "2"]
    assert pack.splits == ["train", "val", "train"]
    assert pack.scenes == ["7", "8", "7"]
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
        assert set(archive) == {"low", "normal", "name", "scene", "split", "hash", "meta"}
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
        ({"crop": (26, 18)}, "no pair can be packed: 0: 20x30, too small.*1: 25x18, too small"),
        ({"crop": (0, 20, 10, 12)}, "0: 20x30, too small"),
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


def test_photos_of_several_sizes_keep_them(tmp_path):
    pairs = write_photos(tmp_path, [(20, 30), (25, 18), (9, 11)])
    pack = open_pack(pack_pairs(pairs, tmp_path / "p.npz", split={"0": "a", "1": "b", "2": "a"}))
    assert pack.meta["size"] is None
    for i, pair in enumerate(pairs):
        np.testing.assert_array_equal(pack.low[i], read_uint8(pair.low))
        np.testing.assert_array_equal(pack.normal[i], read_uint8(pair.normal))
    stream = PairStream(*pack.subset("a"), crop=8, batch_size=2)
    assert stream[0][1].shape == (2, 8, 8, 3)
    with np.load(tmp_path / "p.npz") as archive:
        np.testing.assert_array_equal(archive["size"], [(20, 30), (25, 18), (9, 11)])
        assert archive["low"].shape == (3 * (600 + 450 + 99),)


def test_a_photo_too_small_for_the_crop_is_left_out_by_name(tmp_path):
    pairs = write_photos(tmp_path, [(20, 30), (25, 18)])
    pack = open_pack(pack_pairs(pairs, tmp_path / "p.npz", crop=(22, 18)))
    assert pack.names == ["1"]
    assert list(pack.meta["left_out"]) == ["0"]


def test_dark_photos_alone_have_no_partner(pairs, tmp_path):
    alone = [pair._replace(normal=None) for pair in pairs]
    pack = open_pack(pack_pairs(alone, tmp_path / "p.npz"))
    assert pack.normal is None
    assert pack[1][1] is None
    np.testing.assert_array_equal(pack[1][0], read_uint8(pairs[1].low))
    with pytest.raises(PackError, match="no well-lit photo for 1"):
        pack_pairs([pairs[0], alone[1]], tmp_path / "q.npz")


def test_a_photo_may_be_made_by_a_function(tmp_path):
    photo = np.full((6, 7, 3), 9, np.uint8)
    pair = Pair("made", lambda: photo // 3, lambda: photo)
    pack = open_pack(pack_pairs([pair], tmp_path / "p.npz"))
    assert (pack.low[0] == 3).all()
    assert (pack.normal[0] == 9).all()


def test_partners_of_different_size(pairs, tmp_path):
    save_image(pairs[1].normal, np.zeros((21, 30, 3), np.uint8))
    with pytest.raises(PackError, match=r"1\.png is 21x30 but its partner .*1\.png is 20x30"):
        pack_pairs(pairs, tmp_path / "p.npz", size=(4, 4))
    assert not (tmp_path / "p.npz").exists()


def test_all_bad_pairs_are_listed_and_left_out_if_asked_for(pairs, tmp_path):
    pairs[0].low.write_bytes(b"not an image")
    pairs[2].normal.unlink()
    with pytest.raises(PackError, match=r"2 of 3 pairs .*:\n.*0\.png.*\n.*2\.png.*\n.*--skip-bad"):
        pack_pairs(pairs, tmp_path / "p.npz")
    assert not (tmp_path / "p.npz").exists()
    pack = open_pack(pack_pairs(pairs, tmp_path / "p.npz", skip_bad=True))
    assert pack.names == ["1"]
    assert set(pack.meta["left_out"]) == {"0", "2"}


def test_a_full_disk_is_noticed_before_anything_is_written(pairs, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3 * 2 * 20 * 30 * 3))
    assert pack_pairs(pairs, tmp_path / "p.npz").is_file()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3 * 2 * 1799))
    with pytest.raises(PackError, match="make room"):
        pack_pairs(pairs, tmp_path / "q.npz")
    assert not (tmp_path / "q.npz").exists()


def test_a_scene_in_two_splits_is_refused(pairs, tmp_path):
    split, scenes = {"0": "train", "1": "val", "2": "train"}, {"0": "a", "1": "b", "2": "b"}
    pack_pairs(pairs, tmp_path / "p.npz", split=split, scenes=scenes)
    with pytest.raises(PackError, match="scenes in more than one split: b"):
        open_pack(tmp_path / "p.npz")


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
    meta = np.array(json.dumps({"version": VERSION}))
    hashes = np.zeros((count, 8), np.uint8)
    about = {"name": text, "scene": text, "split": text, "hash": hashes, "meta": meta}
    np.savez(path, low=photos, normal=photos, **about)
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
    meta = np.array(json.dumps({"version": VERSION}))
    arrays = {"low": photos, "normal": photos, "name": text, "scene": text, "split": text}
    arrays |= {"hash": np.zeros((2, 8), np.uint8), "meta": meta}
    return {key: value for key, value in (arrays | changes).items() if value is not None}


def test_the_helper_makes_a_valid_pack(tmp_path):
    np.savez(tmp_path / "p.npz", **contents())
    assert open_pack(tmp_path / "p.npz").names == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"low": None}, "lacks low"),
        ({"meta": None, "split": None}, "lacks split, meta"),
        ({"scene": None}, "lacks scene. Write it again"),
        ({"meta": np.array("{}")}, "version 1; this package reads 2"),
        ({"meta": np.array('{"version": 3}')}, "version 3"),
        ({"hash": np.zeros((1, 8), np.uint8)}, "do not belong together"),
        ({"size": np.array([[4, 5], [4, 4]])}, r"by size expected uint8 \(108,\)"),
        ({"size": np.array([4, 5])}, "expected heights and widths"),
        ({"low": np.zeros((2, 4, 5, 3), np.float32)}, "low is float32"),
        ({"low": np.zeros((2, 4, 5), np.uint8)}, "expected uint8"),
        ({"low": np.zeros((0, 4, 5, 3), np.uint8)}, "expected uint8"),
        (
            {"low": np.asfortranarray(np.zeros((2, 4, 5, 3), np.uint8))},
            "low is pickled or not in C",
        ),
        ({"normal": np.zeros((2, 5, 4, 3), np.uint8)}, "low .* and normal .* differ"),
        ({"normal": np.zeros((1, 4, 5, 3), np.uint8)}, "do not belong together"),
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
    with pytest.raises(PackError, match=r"bad\.npz: name is compressed"):
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
