"""The sets that methods are judged on."""

import json

import numpy as np
import pytest
from PIL import Image

from lle_utils.data import adapters
from lle_utils.data.evaluation_sets import load_evaluation_set
from lle_utils.data.pairs import PairError
from lle_utils.data.scenes import load_scenes


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """An empty folder of photos, in which `save` writes one."""
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(adapters, "data_dir", lambda: tmp_path / "nothing")
    return tmp_path


def save(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(path)


def test_synthetic_shots_need_no_download_and_are_the_same_each_time():
    first, again = load_evaluation_set("synthetic"), load_evaluation_set("synthetic")
    assert [name for name, *_ in first.pairs] == list(first.scenes)
    for (_, low, normal), (_, same, other) in zip(first.pairs, again.pairs, strict=True):
        assert np.array_equal(low, same)
        assert np.array_equal(normal, other)
    assert f"{len(set(first.scenes.values()))} bundled scenes" in first.data


def test_the_official_test_photos_come_with_the_leak_stated(photos):
    scenes = load_scenes()
    for name in scenes["eval15"]:
        for side in ("low", "high"):
            save(photos / "lol_v1" / "eval15" / side / f"{name}.png")
    found = load_evaluation_set("lol_test")
    owner = {image: min(group) for group in scenes["scenes"] for image in group}
    trained = {owner[image] for image in scenes["train"]}
    leaked = sum(owner.get(image) in trained for image in scenes["eval15"])
    assert len(found.pairs) == 15
    assert leaked > 0
    assert f"{leaked} of 15 photos show scenes of its training pairs" in found.data


def test_lol_v2_is_matched_by_number(photos):
    test = photos / "lol_v2" / "LOL-v2" / "Real_captured" / "Test"
    for number in ("00690", "00691"):
        save(test / "Low" / f"low{number}.png")
        save(test / "Normal" / f"normal{number}.png")
    found = load_evaluation_set("lol_v2_real")
    assert [(p.name, p.low.name, p.normal.name) for p in found.pairs] == [
        ("00690", "low00690.png", "normal00690.png"),
        ("00691", "low00691.png", "normal00691.png"),
    ]
    save(test / "Low" / "low00700.png")
    with pytest.raises(PairError, match=r"has 3 dark photos and 2 others, of which 2 match"):
        load_evaluation_set("lol_v2_real")


def test_two_files_of_one_number_are_refused(photos):
    test = photos / "lol_v2" / "Synthetic" / "Test"
    for name in ("Low/low00001.png", "Low/low00001.jpg", "Normal/normal00001.png"):
        save(test / name)
    with pytest.raises(PairError, match="keep one file per stem"):
        load_evaluation_set("lol_v2_synthetic")


def test_sequences_give_one_pair_of_each_validation_scene(photos):
    folder, scenes = photos / "sice_sequences", {}
    for scene in range(9):
        members = [f"{scene}_{step}" for step in range(3)]
        for member, value in zip(members, (26, 115, 230), strict=True):
            save(folder / f"{member}.png", value)
        scenes[str(scene)] = {"members": members}
    (folder / "sequences.json").write_text(json.dumps(scenes))
    found = load_evaluation_set("sequences")
    assert [(name, low.max(), lit.max()) for name, low, lit in found.pairs] == [
        ("0", 26, 115),
        ("8", 26, 115),
    ]


def test_what_is_not_there_says_where_it_is_looked_for(photos):
    with pytest.raises(FileNotFoundError, match="lol_v2/Synthetic/Test"):
        load_evaluation_set("lol_v2_synthetic")
    with pytest.raises(ValueError, match="known are lol_val, lol_train"):
        load_evaluation_set("sid")
