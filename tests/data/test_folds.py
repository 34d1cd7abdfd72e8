"""Folds of a source: by scene, all photos tested on once, the same every time."""

import numpy as np
import pytest
from PIL import Image

from lle_utils.data.folds import Fold, deal_folds, split_fold, split_of
from lle_utils.data.photo_folders import SourceError
from lle_utils.data.sources import SPLITS, absolute, have_common_part, load


def test_every_photo_is_tested_on_once_and_no_scene_is_in_two_splits():
    tested = []
    for number in range(1, 6):
        parts = {split: load(f"synthetic@{number}/5", split) for split in SPLITS}
        assert sum(map(len, parts.values())) == 28
        scenes = [set(part.scenes.values()) for part in parts.values()]
        assert not (scenes[0] & scenes[1])
        assert not (scenes[0] & scenes[2])
        assert not (scenes[1] & scenes[2])
        tested += parts["test"].names
    assert len(set(tested)) == len(tested) == 28


def test_photos_stay_with_their_names():
    whole = {
        name: normal for split in ("train", "val") for name, _, normal in load("synthetic", split)
    }
    for name, _, normal in load("synthetic@2/4", "train"):
        np.testing.assert_array_equal(normal, whole[name])


def test_folds_are_even_where_scenes_allow_and_the_same_every_time():
    scenes = {
        f"{scene}{i}": scene
        for scene, count in zip("abcdef", (5, 4, 3, 3, 2, 1), strict=False)
        for i in range(count)
    }
    folds = deal_folds(scenes, 3, "mine")
    sizes = [sum(fold == k for fold in folds.values()) for k in (1, 2, 3)]
    assert sizes == [6, 6, 6]
    shuffled = dict(sorted(scenes.items(), reverse=True))
    assert deal_folds(shuffled, 3, "mine") == folds


def test_the_fold_after_the_tested_one_chooses():
    for number in (1, 2, 3):
        splits = [split_of(fold, Fold(number, 3)) for fold in (1, 2, 3)]
        assert sorted(splits) == ["test", "train", "val"]
        assert splits[number - 1] == "test"
        assert splits[number % 3] == "val"


@pytest.mark.parametrize("source", ["lol@0/5", "lol@6/5", "lol@1/2"])
def test_a_fold_that_is_none_is_refused(source):
    with pytest.raises(SourceError, match="expected a fold from 1 to"):
        split_fold(source)


def test_more_folds_than_scenes_and_joined_sources_are_refused(tmp_path):
    with pytest.raises(SourceError, match="synthetic shows 5 scenes; 6 folds need 6"):
        load("synthetic@1/6", "train")
    with pytest.raises(SourceError, match="might share scenes"):
        load(f"synthetic+{tmp_path}@1/3", "train")


def test_folds_of_a_folder_and_its_absolute_path(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for side in ("low", "high"):
        (tmp_path / "mine" / side).mkdir(parents=True)
        for i in range(6):
            noise = rng.integers(0, 255, (40, 48, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "mine" / side / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLE_PACK_DIR", str(tmp_path / "packs"))
    assert absolute("mine@1/3") == f"{tmp_path / 'mine'}@1/3"
    assert have_common_part("mine@1/3", str(tmp_path / "mine"))
    assert [len(load("mine@2/3", split)) for split in SPLITS] == [2, 2, 2]
