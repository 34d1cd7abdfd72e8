"""Notebook 11: fusion against what it must do, and the record of what networks learn."""

import json

import numpy as np
import pytest

from lle_utils.core.exposure import expose, exposure_gain, srgb_to_linear
from lle_utils.core.images import save_image, to_float
from lle_utils.core.paths import data_dir
from lle_utils.data.synthetic import sample_scenes
from lle_utils.metrics import psnr
from lle_utils.notebook_tools import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("11_exposures")


@pytest.fixture(scope="module")
def scene():
    """A scene, and its light with one half in the shade."""
    truth = to_float(sample_scenes()["chelsea"])[:200, :300]
    shade = np.linspace(0, 1, 300)[:, None] > 0.5
    return truth, srgb_to_linear(truth) * np.where(shade, 2.0**-3, 2.0)


def test_a_stop_is_twice_the_light(notebook):
    light = np.full((40, 50, 3), 0.05)
    values = [srgb_to_linear(notebook.shoot(light, stop, 0)).mean() for stop in (0, 1, 2)]
    assert values[1] / values[0] == pytest.approx(2, rel=0.03)
    assert values[2] / values[1] == pytest.approx(2, rel=0.03)


def test_lost_pixels_are_counted_at_both_ends(notebook):
    photo = np.full((4, 5, 3), 0.5)
    photo[0], photo[1, :2] = 1.0, 0.0
    photo[2, 0] = (1.0, 0.0, 0.0)  # one channel at the top is enough
    assert notebook.lost(photo) == {"too light": 6 / 20, "too dark": 2 / 20}


def test_a_pyramid_is_taken_apart_and_put_together(notebook, scene):
    for levels in (1, 2, 5):
        parts = notebook.laplacian_pyramid(scene[0].astype(np.float64), levels)
        assert len(parts) == levels
        np.testing.assert_allclose(notebook.collapse(parts), scene[0], atol=1e-6)
    odd = np.random.default_rng(0).random((37, 53, 3))
    np.testing.assert_allclose(
        notebook.collapse(notebook.laplacian_pyramid(odd, 4)), odd, atol=1e-9
    )


def test_weights_add_up_and_prefer_what_is_well_exposed(notebook, scene):
    shots = [notebook.shoot(scene[1], stop, 0) for stop in (-3, 0, 3)]
    weights = notebook.fusion_weights(shots)
    np.testing.assert_allclose(weights.sum(0), 1)
    bright, shaded = weights[:, :, :150].mean((1, 2)), weights[:, :, 150:].mean((1, 2))
    assert bright.argmax() < shaded.argmax()  # the bright half comes from a darker shot


def test_equal_photos_fuse_to_themselves(notebook, scene):
    fused = notebook.fuse([scene[0]] * 3)
    np.testing.assert_allclose(fused, scene[0], atol=1e-5)


def test_a_fusion_knows_more_than_each_exposure(notebook, scene):
    truth, light = scene
    shots = [notebook.shoot(light, stop, stop + 9) for stop in (-2, -1, 0, 1, 2, 3)]

    def score(photo):
        level = float(truth.mean())
        return psnr(expose(photo, exposure_gain(photo, level)).astype(np.float32), truth)

    assert score(notebook.fuse(shots)) > max(map(score, shots)) + 1


def test_light_is_measured_in_stops(notebook):
    normal = np.full((8, 9, 3), 120, np.uint8)
    half = np.uint8(255 * 0.339)  # its light is about half
    assert notebook.stops_of(normal, normal) == 0
    assert notebook.stops_of(np.full((8, 9, 3), half), normal) == pytest.approx(-1, abs=0.05)


def test_real_scenes_come_from_any_source_with_several_exposures(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("LLE_PACK_DIR", str(tmp_path / "packs"))
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    index = {}
    for scene in range(9):
        index[str(scene)] = {"members": [f"{scene}_{i}" for i in range(3)]}
        view = np.random.default_rng(scene).uniform(0.2, 1, (4, 6, 3)).repeat(8, 0).repeat(8, 1)
        for i, gain in enumerate((0.2, 0.7, 1.2)):
            save_image(tmp_path / "sice_sequences" / f"{scene}_{i}.png", np.clip(view * gain, 0, 1))
    (tmp_path / "sice_sequences" / "sequences.json").write_text(json.dumps(index))
    found = notebook.real_sequences("sequences", "val")
    assert list(found) == ["0", "8"]
    photos, normal = found["8"]
    assert [photo.mean() for photo in photos] == sorted(photo.mean() for photo in photos)
    assert normal is photos[1]
    for side in ("low", "normal"):
        for i in range(4):
            source = tmp_path / "sice_sequences" / f"{i}_{2 if side == 'normal' else 0}.png"
            target = tmp_path / "pairs" / side / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    with pytest.raises(ValueError, match="pairs has no scene with three exposures"):
        notebook.real_sequences(str(tmp_path / "pairs"), "train")


def test_what_the_record_shows():
    record = json.loads((data_dir() / "results" / "exposures.json").read_text("utf-8"))
    assert (record["data"], record["val_scenes"]) == ("sequences", 25)
    dark, everything = (record["networks"][name] for name in ("dark photos", "all"))
    for light in ("up to 2 too light", "2 or more too light"):
        found = everything[light]
        assert found["mean_after"] < found["mean_before"] - 0.05  # darker
        assert found["psnr_after"] > found["psnr_before"] + 1  # and better
        assert dark[light]["psnr_after"] < dark[light]["psnr_before"]  # as dark photos do not teach
    for light in ("2 stops or more too dark", "up to 2 too dark"):
        assert everything[light]["psnr_after"] > dark[light]["psnr_after"] - 0.5
