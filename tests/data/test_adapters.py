"""Every source of the registry, from a web server to training photos, on small trees of its layout.

The photos are made up; the layouts are those of the archives that the publishers offer.
"""

import shutil
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from lle_utils.data import adapters, download, scenes
from lle_utils.data.pairs import PairError
from lle_utils.data.photo_folders import SourceError
from lle_utils.data.registry import Mirror, load_registry
from lle_utils.data.sources import load


class Quiet(SimpleHTTPRequestHandler):
    """A web server that keeps no log."""

    def log_message(self, *args):
        pass


@pytest.fixture
def publish(tmp_path, pack_folder, monkeypatch):
    """A function that offers a tree of photos as a data set of the registry."""
    site = tmp_path / "site"
    site.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry = load_registry()
    monkeypatch.setattr(download, "load_registry", lambda: registry)
    (tmp_path / "photos").mkdir()
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path / "photos"))
    monkeypatch.setattr(adapters, "data_dir", lambda: tmp_path / "nothing")

    def offer(name, tree, nested=None):
        address = f"http://127.0.0.1:{server.server_port}/{name}.zip"
        mirrors = (Mirror("http", url=address),)
        registry[name] = replace(registry[name], mirrors=mirrors, files={})
        content = tmp_path / "tree.zip"
        with zipfile.ZipFile(content, "w") as archive:
            for i, path in enumerate(tree):
                archive.writestr(path, photo(tmp_path, i, dark="low" in path.lower()))
        with zipfile.ZipFile(site / f"{name}.zip", "w") as archive:
            if nested:
                archive.write(content, nested)
            else:
                for path in zipfile.ZipFile(content).namelist():
                    archive.writestr(path, zipfile.ZipFile(content).read(path))

    yield offer
    server.shutdown()
    server.server_close()


def photo(folder, number, dark):
    """The bytes of a photo of noise: each number is a view of its own."""
    rng = np.random.default_rng(number)
    view = np.kron(rng.integers(0, 50 if dark else 250, (4, 6, 3), np.uint8), np.ones((8, 8, 1)))
    path = folder / "photo.png"
    Image.fromarray(view.astype(np.uint8)).save(path)
    return path.read_bytes()


def all_of(source, **options):
    found = {}
    for split in ("train", "val", "test"):
        try:
            found[split] = load(source, split, **options)
        except SourceError:
            continue
    return found


def test_lol_v1_is_downloaded_split_by_scene_and_without_eval15(publish):
    lists = scenes.load_scenes()
    numbers = lists["train"] + lists["val"] + lists["eval15"]
    tree = [f"LOL/our485/{side}/{i}.png" for i in numbers[:-15] for side in ("low", "high")]
    tree += [f"LOL/eval15/{side}/{i}.png" for i in numbers[-15:] for side in ("low", "high")]
    publish("lol_v1", tree)
    found = all_of("lol")
    assert {split: len(part) for split, part in found.items()} == {"train": 405, "val": 40}
    assert found["train"].names == [str(i) for i in sorted(lists["train"])]
    assert not set(found["train"].scenes.values()) & set(found["val"].scenes.values())
    assert "licence not stated" in found["val"].licence


def test_lol_v1_and_its_synthetic_pairs_train_together(publish):
    lists = scenes.load_scenes()
    numbers = lists["train"] + lists["val"]
    sides = ("low", "high")
    tree = [f"our485/{side}/{i}.png" for i in numbers for side in sides]
    publish("lol_v1", [*tree, "eval15/low/1.png", "eval15/high/1.png"])
    tree = [f"BrighteningTrain/{side}/r{i}.png" for i in range(500, 520) for side in sides]
    publish("lol_synthetic", tree)
    both = all_of("lol_v1+lol_synthetic")
    assert len(both["train"]) == 405 + 20
    assert set(both) == {"train", "val"}
    assert len(both["val"]) == 40
    alone = all_of("lol_synthetic")
    assert [len(alone[split]) for split in ("train", "val", "test")] == [16, 2, 2]


def test_a_pack_is_enough_when_the_photos_are_gone(publish, tmp_path, monkeypatch):
    publish("mixed_exposures", [f"train_data/{i}_1.jpg" for i in range(6)])
    names = load("mixed_exposures", "train", paired=False).names
    shutil.rmtree(tmp_path / "photos" / "mixed_exposures")
    (tmp_path / "site" / "mixed_exposures.zip").unlink()
    assert load("mixed_exposures", "train", paired=False).names == names


def test_the_two_halves_are_joined_by_name(publish):
    publish("lol_pair_low", [f"low/{i}.png" for i in range(4)])
    publish("lol_pair_high", [f"high/{i}.png" for i in range(3, -1, -1)])
    found = all_of("lol_pair")
    assert sorted(name for part in found.values() for name in part.names) == list("0123")
    assert all(low.mean() < normal.mean() for _, low, normal in found["train"])


def test_halves_that_do_not_match(publish):
    publish("lol_pair_low", [f"low/{i}.png" for i in range(4)])
    publish("lol_pair_high", [f"high/{i}.png" for i in range(1, 4)])
    with pytest.raises(PairError, match="no partner for 0"):
        load("lol_pair", "train")


def lol_v2_tree(part, counts, prefix=True):
    sides = (("Low", "low"), ("Normal", "normal"))
    return [
        f"LOL-v2/{part}/{split}/{side}/{word if prefix else ''}{i:05d}.png"
        for split, numbers in counts.items()
        for side, word in sides
        for i in numbers
    ]


def test_lol_v2_keeps_its_test_photos(publish):
    counts = {"Train": range(1, 11), "Test": range(690, 693)}
    real = lol_v2_tree("Real_captured", counts)
    publish(
        "lol_v2", real + lol_v2_tree("Synthetic", {"Train": range(6), "Test": range(90, 92)}, False)
    )
    found = all_of("lol_v2_real")
    assert {split: len(part) for split, part in found.items()} == {"train": 9, "val": 1, "test": 3}
    assert found["test"].names == ["00690", "00691", "00692"]
    assert all_of("lol_v2_synthetic")["test"].names == ["00090", "00091"]


def test_lol_v2_without_its_photos(publish):
    publish("lol_v2", lol_v2_tree("Real_captured", {"Train": range(3)}))
    with pytest.raises(SourceError, match="no folder Real_captured/Test"):
        load("lol_v2_real", "train")


def sice_tree(scenes_of):
    tree = [f"Dataset_Part1/Label/{name}.JPG" for name in scenes_of]
    for name, count in scenes_of.items():
        tree += [f"Dataset_Part1/{name}/{i + 1}.JPG" for i in range(count)]
    return tree


@pytest.mark.parametrize("nested", [None, "SICE/Dataset_Part1.zip"])
def test_sice_gives_dark_exposures_with_their_reference(publish, nested):
    publish("sice_part1", sice_tree({"1": 7, "2": 9, "3": 5, "10": 7}), nested)
    pairs = all_of("sice_part1")
    names = sorted(name for part in pairs.values() for name in part.names)
    assert names == sorted(
        [f"1-{i}" for i in (1, 2, 3)]
        + [f"2-{i}" for i in (1, 2, 3, 4)]
        + [f"3-{i}" for i in (1, 2)]
        + [f"10-{i}" for i in (1, 2, 3)]
    )
    for part in pairs.values():
        assert all(part.scenes[name] == name.split("-")[0] for name in part.names)
    everything = all_of("sice_part1_exposures", paired=False)
    assert sum(map(len, everything.values())) == 7 + 9 + 5 + 7
    with pytest.raises(SourceError, match="pairs are needed"):
        load("sice_part1_exposures", "train")


def test_a_sequence_without_its_reference(publish):
    tree = [path for path in sice_tree({"1": 7, "2": 9}) if "Label/2" not in path]
    publish("sice_part2", tree)
    with pytest.raises(PairError, match="no reference for 2"):
        load("sice_part2", "train")


def test_photos_of_mixed_exposure(publish):
    publish("mixed_exposures", [f"train_data/{i}_1.jpg" for i in range(6)])
    found = all_of("mixed_exposures", paired=False)
    assert sum(map(len, found.values())) == 6


def test_the_kaggle_set_is_fetched_by_hand(publish, tmp_path, monkeypatch):
    with pytest.raises(download.DownloadError, match="--archive"):
        load("kaggle_synthetic", "train")
    folder = tmp_path / "photos" / "kaggle_synthetic" / "data" / "lol_dataset"
    for side in ("low", "high"):
        for i in range(3):
            path = folder / side / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo(tmp_path, i, side == "low"))
    assert sum(map(len, all_of("kaggle_synthetic").values())) == 3


def test_what_is_no_zip_is_unpacked_by_hand(publish, tmp_path):
    publish("mixed_exposures", [])
    (tmp_path / "site" / "mixed_exposures.zip").write_bytes(b"Rar!\x1a\x07\x00" + bytes(100))
    with pytest.raises(SourceError, match=r"mixed_exposures\.rar is here, .*unpack it"):
        load("mixed_exposures", "train", paired=False)


def test_sequences_keep_their_split(publish, tmp_path):
    import json

    folder = tmp_path / "photos" / "sice_sequences"
    folder.mkdir()
    index = {}
    for scene in range(9):
        members = [f"{scene}_{i}" for i in range(3)]
        index[str(scene)] = {"members": members}
        for i, member in enumerate(members):
            (folder / f"{member}.png").write_bytes(photo(tmp_path, 10 * scene + i, False))
    (folder / "sequences.json").write_text(json.dumps(index))
    found = all_of("sequences", paired=False)
    assert sorted(set(found["val"].scenes.values())) == ["0", "8"]
    assert len(found["train"]) == 7 * 3


def test_sequences_that_are_not_there(publish):
    with pytest.raises(FileNotFoundError, match="Set LLE_DATA_DIR to a folder that holds"):
        load("sequences", "train", paired=False)


def test_every_source_names_data_sets_of_the_registry():
    known = set(load_registry()) | {"sice_sequences"}
    for archives, _ in adapters.ADAPTERS.values():
        assert set(archives) <= known
