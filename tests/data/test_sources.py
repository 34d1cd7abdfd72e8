"""One word or path says where photos come from: packed once, split by scene, never mixed up."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from lle_utils.core.images import read_uint8, save_image
from lle_utils.data import packing, sources
from lle_utils.data.npz_dataset import open_pack
from lle_utils.data.pack_writer import pack_pairs
from lle_utils.data.pairs import find_pairs, join_pair
from lle_utils.data.photo_folders import SourceError
from lle_utils.data.scene_finder import SceneError, write_scenes
from lle_utils.data.sources import absolute, load, origin_of
from lle_utils.data.splits import LeakError

SPLITS = ("train", "val", "test")


@pytest.fixture
def folder(tmp_path, pack_folder, write_noise):
    """Ten pairs, each a scene of its own; the dark side is a fifth of the other."""
    write_noise(tmp_path / "mine" / "normal", np.linspace(90, 140, 10))
    for path in (tmp_path / "mine" / "normal").iterdir():
        save_image(tmp_path / "mine" / "low" / path.name, read_uint8(path) // 5)
    return tmp_path / "mine"


def test_a_folder_is_packed_once_and_split_by_scene(folder, pack_folder, capsys):
    parts = {split: load(str(folder), split) for split in SPLITS}
    assert [len(parts[split]) for split in SPLITS] == [8, 1, 1]
    assert sorted(name for part in parts.values() for name in part.names) == list("0123456789")
    assert capsys.readouterr().out.count("packed, once") == 1
    for name, low, normal in parts["train"]:
        np.testing.assert_array_equal(normal, read_uint8(folder / "normal" / f"{name}.png"))
        np.testing.assert_array_equal(low, normal // 5)
    [pack] = pack_folder.glob("*.npz")
    before = pack.stat().st_mtime_ns
    assert load(str(folder), "train").names == parts["train"].names
    assert pack.stat().st_mtime_ns == before


def test_a_pack_follows_its_folder(folder):
    load(str(folder), "train")
    save_image(folder / "low" / "3.png", np.zeros((32, 48, 3), np.uint8))
    found = {n: low for split in SPLITS for n, low, _ in load(str(folder), split)}
    assert found["3"].max() == 0


def test_scenes_can_be_corrected(folder, pack_folder):
    load(str(folder), "train")
    [path] = pack_folder.glob("*.scenes.csv")
    write_scenes(path, {str(i): "a" if i < 9 else "b" for i in range(10)})
    sets = {split: load(str(folder), split).names for split in ("train", "val")}
    assert sorted(map(len, sets.values())) == [1, 9]
    with pytest.raises(SourceError, match="no photos for test, only for train, val"):
        load(str(folder), "test")
    path.write_text("name,scene\n0,a\n")
    with pytest.raises(SceneError, match="lacks 1, 2"):
        load(str(folder), "train")
    write_scenes(folder / "scenes.csv", {str(i): str(i % 5) for i in range(10)})  # comes first
    assert set(load(str(folder), "train").scenes.values()) < set("01234")


def test_splits_given_by_folders_must_not_share_a_scene(tmp_path, pack_folder, write_noise):
    for split, means in {"train": [90, 100, 110], "val": [90]}.items():
        write_noise(tmp_path / "m" / split / "normal", means)
        write_noise(tmp_path / "m" / split / "low", [mean / 5 for mean in means])
    for side in ("low", "normal"):
        path = tmp_path / "m" / "val" / side / "0.png"
        path.rename(path.with_name("v.png"))  # the same view as 0 of train
    with pytest.raises(LeakError, match="v"):
        load(str(tmp_path / "m"), "train")
    assert not list(pack_folder.glob("*.npz"))


def test_the_same_photos_side_by_side_or_in_a_pack(folder, tmp_path):
    pairs = find_pairs(folder / "low", folder / "normal")
    for pair in pairs:
        joined = join_pair(read_uint8(pair.low), read_uint8(pair.normal))
        save_image(tmp_path / "joined" / f"{pair.name}.png", joined)
    pack_pairs(pairs, tmp_path / "mine.npz")
    expected = load(str(folder), "train")
    for other in (tmp_path / "joined", tmp_path / "mine.npz"):
        found = load(str(other), "train")
        assert found.names == expected.names
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one[1], two[1])
            np.testing.assert_array_equal(one[2], two[2])


def test_the_synthetic_sample_needs_no_pack(pack_folder):
    train, val = load("synthetic", "train", 5), load("synthetic", "val", 5)
    assert (len(train), train.low[0].shape) == (24, (192, 192, 3))
    assert (len(val), val.low[0].shape) == (4, (160, 240, 3))
    assert not set(train.scenes.values()) & set(val.scenes.values())
    assert (train.low[0] != load("synthetic", "train", 6).low[0]).any()
    assert not pack_folder.exists()
    with pytest.raises(SourceError, match="no photos for test"):
        load("synthetic", "test")


def test_a_set_of_pairs_is_a_sequence(folder):
    found = load(str(folder), "train")
    assert [name for name, *_ in found[1:3]] == found.names[1:3]
    assert found[-1][0] == found.names[-1]
    assert len(list(found)) == len(found) == 8


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("lolv1", "known are synthetic, lol, lol_v1, .* a folder of photos, a pack"),
        ("", "different sources"),
        ("synthetic+synthetic", "different sources"),
        ("synthetic+", "different sources"),
    ],
)
def test_an_unknown_source_lists_the_known_ones(source, complaint):
    with pytest.raises(SourceError, match=complaint):
        load(source, "train")
    with pytest.raises(SourceError, match="expected train, val, test"):
        load("synthetic", "dev")


def test_dark_photos_alone_are_for_training_without_references(tmp_path, pack_folder, write_noise):
    write_noise(tmp_path / "dark", [10, 15, 20, 25])
    with pytest.raises(SourceError, match=r"dark photos alone, and pairs are needed.*03_zero_dce"):
        load(str(tmp_path / "dark"), "train")
    found = load(str(tmp_path / "dark"), "train", paired=False)
    assert [normal for *_, normal in found] == [None] * 2


def test_photos_that_crops_do_not_fit_into_are_named(folder, capsys):
    for side in ("low", "normal"):
        save_image(folder / side / "2.png", np.full((20, 48, 3), 10, np.uint8))
    load(str(folder), "train")
    whose = next(split for split in SPLITS if "2" in load(str(folder), split).names)
    capsys.readouterr()
    if whose == "train":
        assert "2" not in load(str(folder), whose, crop=24).names
    else:
        with pytest.raises(SourceError, match="smaller than crops of 24x24"):
            load(str(folder), whose, crop=24)
        return
    assert capsys.readouterr().out == "Left out, smaller than crops of 24x24: 2\n"


def test_joined_sources_keep_their_names_splits_and_licences(folder, tmp_path, write_noise):
    write_noise(tmp_path / "lit", np.linspace(100, 105, 4), (48, 48), seed=1)
    both = f"{folder}+{tmp_path / 'lit'}"
    train, val = load(both, "train"), load(both, "val")
    assert len(train) == 8 + 2
    assert [name for name in val.names if name.startswith("mine/")] == [
        "mine/" + load(str(folder), "val").names[0]
    ]
    assert "lit: your own photos, darkened by the synthetic camera" in train.licence
    assert not set(train.scenes.values()) & set(val.scenes.values())
    assert {low.shape for low in train.low} == {(32, 48, 3), (48, 48, 3)}


def test_what_has_no_val_of_its_own_only_trains(folder, tmp_path, write_noise):
    write_noise(tmp_path / "s" / "train" / "normal", [150, 160, 170], (48, 48), seed=1)
    write_noise(tmp_path / "s" / "train" / "low", [30, 32, 34], (48, 48), seed=1)
    alone = {split: load(str(tmp_path / "s"), split).names for split in SPLITS}
    assert sorted(name for names in alone.values() for name in names) == list("012")
    both = f"{folder}+{tmp_path / 's'}"
    assert len([n for n in load(both, "train").names if n.startswith("s/")]) == 3
    assert not [n for n in load(both, "val").names if n.startswith("s/")]


def test_a_scene_that_two_sources_put_into_two_splits_is_refused(folder, tmp_path, pack_folder):
    held_back = load(str(folder), "val").names[0]
    copies = tmp_path / "copies" / "train"
    for side in ("low", "normal"):
        photo = read_uint8(folder / side / f"{held_back}.png")
        save_image(copies / side / "again.png", photo)
        save_image(copies / side / "other.png", photo[::-1])
    with pytest.raises(LeakError, match=r"val of .*mine and train of .*copies show the same"):
        load(f"{folder}+{tmp_path / 'copies'}", "train")


def test_two_sources_of_one_name(folder, tmp_path, write_noise):
    write_noise(tmp_path / "other" / "mine", [140, 150, 160, 170], (48, 48), seed=1)
    with pytest.raises(SourceError, match="rename a folder"):
        load(f"{folder}+{tmp_path / 'other' / 'mine'}", "train")


def test_paths_can_be_made_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert absolute("mine+lol") == f"{folder.resolve()}+lol"
    (folder.parent / "synthetic").mkdir()  # no folder hides a source that is known
    assert absolute("synthetic") == "synthetic"
    assert load("mine", "train").names == load(str(folder), "train").names


def test_one_scene_is_not_enough(tmp_path, pack_folder, write_noise):
    write_noise(tmp_path / "one", [120])
    with pytest.raises(SourceError, match="1 photos that show one scene; expected two"):
        load(str(tmp_path / "one"), "train")
    assert not list(pack_folder.glob("*.npz"))


def test_bad_photos_stop_a_pack_until_they_are_skipped(folder, pack_folder):
    (folder / "low" / "4.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"4\.png"):
        load(str(folder), "train")
    assert not list(pack_folder.glob("*.npz"))
    packing.prepare(origin_of(str(folder)), skip_bad=True, progress=False)
    kept = [name for split in SPLITS for name in load(str(folder), split).names]
    assert sorted(kept) == list("012356789")


def test_grey_and_16_bit_pairs_become_8_bit_rgb(folder):
    deep = np.linspace(0, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    Image.fromarray(deep).save(folder / "low" / "5.png")
    Image.fromarray((deep >> 8).astype(np.uint8)).save(folder / "normal" / "5.png")
    found = {name: pair for split in SPLITS for name, *pair in load(str(folder), split)}
    low, normal = found["5"]
    assert low.shape == normal.shape == (32, 48, 3)
    assert low.dtype == normal.dtype == np.uint8
    np.testing.assert_allclose(low[..., 0], deep / 257, atol=0.5)
    np.testing.assert_array_equal(normal[..., 2], deep >> 8)


def test_prepare_deals_other_shares_and_load_keeps_them(folder, tmp_path):
    packing.prepare(origin_of(str(folder)), shares={"val": 0.5, "test": 0}, progress=False)
    assert [len(load(str(folder), split)) for split in ("train", "val")] == [5, 5]
    target = tmp_path / "elsewhere" / "p.npz"
    pack = packing.prepare(origin_of(str(folder)), target, {"val": 0.2}, progress=False)
    assert (pack.path, pack.splits.count("val")) == (target, 2)
    assert target.with_suffix(".scenes.csv").is_file()


PACKER = """
import sys
from lle_utils.data.sources import load
print("ready", flush=True)
load(sys.argv[1], "train")
"""


@pytest.mark.slow
def test_a_pack_that_was_killed_is_made_again_to_the_byte(tmp_path, pack_folder, write_noise):
    write_noise(tmp_path / "many" / "normal", np.linspace(60, 140, 80), (64, 96))
    write_noise(tmp_path / "many" / "low", np.linspace(6, 30, 80), (64, 96))
    source = str(tmp_path / "many")
    load(source, "train")
    [path] = pack_folder.glob("*.npz")
    whole = path.read_bytes()
    started = time.monotonic()
    path.unlink()
    load(source, "train")
    taken = time.monotonic() - started
    rng = np.random.default_rng(0)
    for share in rng.uniform(0, 1, 10):
        for file in pack_folder.iterdir():
            file.unlink()
        process = subprocess.Popen(
            [sys.executable, "-c", PACKER, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        process.stdout.readline()
        time.sleep(share * taken)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not path.exists() or path.read_bytes() == whole  # whole, or not there
        load(source, "train")
        assert path.read_bytes() == whole


def test_known_sources_are_explained():
    known = sources.known_sources()
    assert {"synthetic", "lol", "lol_v1", "sice_part1", "sequences"} <= set(known)
    assert len(known) == len(set(known))


def test_a_pack_says_where_it_comes_from(folder, pack_folder):
    load(str(folder), "train")
    [path] = pack_folder.glob("*.npz")
    meta = open_pack(path).meta
    assert (meta["source"], meta["kind"]) == ("mine", "pairs of photos")
    assert meta["licence"] == load(str(folder), "train").licence == "your own photos"
