"""Where files are, writing them whole or not at all, and files made to do harm."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lle_utils.core.images import ImageError, read_uint8, save_image
from lle_utils.core.paths import atomic_path, photo_dir, project_root, run_folder, sha256


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "weights.keras.json"
    target.write_text("old")

    def interrupted():
        with atomic_path(target) as temporary:
            assert temporary.parent == tmp_path
            assert temporary.name.endswith(".keras.json")
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_a_folder_in_the_way_is_an_error_and_nothing_is_left(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        save_image(tmp_path / "a.png", np.zeros((4, 5, 3)))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_new_file_gets_ordinary_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    save_image(tmp_path / "a.png", np.zeros((4, 5, 3)))
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "a.png")}
    assert len(modes) == 1


def test_the_project_is_found_and_a_wrong_photo_folder_is_named(tmp_path, monkeypatch):
    assert (project_root() / "data" / "registry.toml").is_file()
    monkeypatch.delenv("LLE_DATA_DIR", raising=False)
    assert photo_dir() is None
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        photo_dir()
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    assert photo_dir() == tmp_path


def test_results_of_a_notebook_go_where_they_are_asked_to_or_into_runs(tmp_path):
    assert run_folder("04_mirnet", str(tmp_path)) == tmp_path
    assert run_folder("04_mirnet") == project_root() / "runs" / "04_mirnet"


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_a_picture_with_impossible_dimensions_is_refused(tmp_path):
    """A few bytes that claim 60,000 x 60,000 pixels must not take 10 GB."""
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(tmp_path / "bomb.png")
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"bomb\.png cannot be opened"):
        read_uint8(tmp_path / "bomb.png")
