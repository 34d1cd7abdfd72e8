"""Photos of one scene are put together, whatever their brightness, and a person may correct it."""

import numpy as np
import pytest

from lle_utils.core.images import save_image
from lle_utils.core.paths import data_dir, photo_dir
from lle_utils.data import scene_finder
from lle_utils.data.pairs import Pair
from lle_utils.data.scene_finder import SceneError, agreement, find_scenes, read_scenes
from lle_utils.data.sources import origin_of


def views(seed, count):
    """The same random view at several exposures, uint8."""
    rng = np.random.default_rng(seed)
    scene = np.kron(rng.random((6, 9, 3)), np.ones((12, 12, 1)))
    gains = np.linspace(0.3, 1.0, count)
    return [np.uint8(255 * np.clip(scene * k, 0, 1) ** 0.8) for k in gains]


def made_pairs(groups):
    """Pairs ``scene_shot`` of as many shots of each scene as the numbers say."""
    return [
        Pair(f"{scene}_{shot}", lambda: None, lambda photo=photo: photo)
        for scene, count in enumerate(groups)
        for shot, photo in enumerate(views(scene, count))
    ]


def test_exposures_of_one_view_are_one_scene():
    found = find_scenes(made_pairs([3, 1, 2]))
    assert found == {
        **dict.fromkeys(["0_0", "0_1", "0_2"], "0_0"),
        "1_0": "1_0",
        **dict.fromkeys(["2_0", "2_1"], "2_0"),
    }


def test_the_dark_photo_is_looked_at_where_there_is_no_other():
    pairs = [Pair(p.name, p.normal, None) for p in made_pairs([2, 2])]
    assert set(find_scenes(pairs).values()) == {"0_0", "1_0"}


def test_order_and_blocks_do_not_matter(monkeypatch):
    pairs = made_pairs([2, 3, 1, 2])
    found = find_scenes(pairs)
    monkeypatch.setattr(scene_finder, "BLOCK", 2)
    assert find_scenes(pairs[::-1]) == found


def test_a_photo_that_cannot_be_read_is_alone(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    pairs = [*made_pairs([2]), Pair("bad", tmp_path / "bad.png", None)]
    assert find_scenes(pairs) == {"0_0": "0_0", "0_1": "0_0", "bad": "bad"}
    assert find_scenes([pairs[-1]]) == {"bad": "bad"}
    assert find_scenes([]) == {}


def test_a_hash_cannot_tell_two_views_that_the_ranks_can():
    views_apart = np.zeros((2, 40, 60, 3), np.uint8)
    views_apart[0, :, ::2] = 200  # fine stripes, which both small copies average
    views_apart[1, ::2] = 200
    first, second = views_apart
    assert not scene_finder.same_scene(first, np.uint8(255 - second / 2))
    assert scene_finder.same_scene(*views(1, 2))


def test_agreement_counts_pairs_of_photos():
    known = {"a": 1, "b": 1, "c": 1, "d": 2}
    measured = agreement({"a": 1, "b": 1, "c": 2, "d": 2, "e": 9}, known)
    assert measured["precision"] == pytest.approx(1 / 2)  # a-b is right, c-d is not
    assert measured["recall"] == pytest.approx(1 / 3)  # of a-b, a-c, b-c
    assert (measured["photos"], measured["scenes"], measured["known_scenes"]) == (4, 2, 2)
    assert agreement({"a": 1, "b": 2}, known)["precision"] == 1.0


def test_scenes_survive_writing_and_reading(tmp_path):
    scenes = {"10": "a", "9": "b,c", "ü": "a"}
    path = scene_finder.write_scenes(tmp_path / "s.csv", scenes)
    assert path.read_text("utf-8").splitlines()[:2] == ["name,scene", '9,"b,c"']
    assert read_scenes(path, ["9", "ü"]) == scenes
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as a spreadsheet saves it
    assert read_scenes(path, scenes) == scenes


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a first line"),
        ("photo,scene\na,1\n", "expected a first line"),
        ("name,scene\na,1\na,2\n", "names a twice"),
        ("name,scene\na,\n", "no scene for a"),
        ("name,scene\nb,1\n", "lacks a; add a line"),
    ],
)
def test_mistakes_in_a_file_of_scenes_are_named(tmp_path, text, complaint):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(SceneError, match=rf"s\.csv.*{complaint}"):
        read_scenes(path, ["a"])


def test_the_scenes_of_lol_are_found(monkeypatch):
    if photo_dir() is None:
        pytest.skip("LLE_DATA_DIR is not set: no real photos")
    collection = origin_of("lol").collection()
    val = [pair for pair in collection.pairs if collection.splits[pair.name] == "val"]
    measured = agreement(find_scenes(val), collection.scenes)
    assert min(measured["precision"], measured["recall"]) > 0.95


def test_the_record_says_what_was_measured_on_all_of_lol():
    import json

    record = json.loads((data_dir() / "results" / "scene_finder.json").read_text("utf-8"))
    assert record["photos"] == 445
    assert min(record["precision"], record["recall"]) > 0.95


def test_photos_in_files(tmp_path):
    for i, photo in enumerate(views(4, 2)):
        save_image(tmp_path / f"{i}.png", photo)
    pairs = [Pair(str(i), tmp_path / f"{i}.png", None) for i in range(2)]
    assert find_scenes(pairs, progress=True) == {"0": "0", "1": "0"}
