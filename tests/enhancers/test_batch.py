"""`lle enhance`: folders of photos, called as a user calls it."""

import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.core.images import to_float, to_uint8
from lle_utils.core.photo_formats import Photo, read_photo, write_photo
from lle_utils.data import synthetic
from lle_utils.data.raw import write_dng
from lle_utils.data.raw_camera import RawCamera
from lle_utils.enhancers.factory import load_method
from lle_utils.enhancers.runtimes import RUNTIMES, quickest


@pytest.fixture
def folder(tmp_path):
    """A folder of four dark photos of 24x32."""
    rng = np.random.default_rng(0)
    for index in range(4):
        photo = rng.integers(0, 40, (24, 32, 3), np.uint8)
        save(tmp_path / "photos" / f"{index}.png", photo)
    return tmp_path / "photos"


def save(path, photo):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(photo).save(path)
    return path


def enhance(*words) -> int:
    return main.main(["enhance", *map(str, words), "--method", "gamma"])


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_level_is_the_mean_of_the_result_and_name_and_size_stay(folder, tmp_path):
    low = folder / "0.png"
    for level in (0.2, 0.5):
        assert enhance(low, "-o", tmp_path / str(level), "--level", level) == 0
        result = np.asarray(Image.open(tmp_path / str(level) / "0_enhanced.png"))
        assert result.shape == np.asarray(Image.open(low)).shape
        assert result.mean() / 255 == pytest.approx(level, rel=0.02)


def test_folders_and_patterns_are_written_beside_the_photos_once(folder, capsys):
    assert enhance(folder) == 0
    assert capsys.readouterr().out == f"4 enhanced, in {folder}\n"
    assert enhance(folder / "*.png") == 0  # what the first run wrote is no photo of the second
    assert capsys.readouterr().out == "0 enhanced; 4 done before (--overwrite does them again)\n"
    assert len(names(folder)) == 8


def test_a_photo_that_changed_is_done_again(folder, capsys):
    assert enhance(folder) == 0
    done = folder / "2_enhanced.png"
    before = done.read_bytes()
    save(folder / "2.png", np.full((24, 32, 3), 9, np.uint8))
    assert enhance(folder) == 0
    assert "1 enhanced" in capsys.readouterr().out.splitlines()[-1]
    assert done.read_bytes() != before
    assert enhance(folder, "--overwrite") == 0
    assert "4 enhanced" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_other_settings_are_not_done(tmp_path, capsys, suffix):
    photo = tmp_path / f"a{suffix}"
    save(photo, np.full((24, 32, 3), 30, np.uint8))
    for words in (
        [],
        ["--level", "0.3"],
        ["--level", "0.4"],
        ["--level", "0.4", "--quality", "90"],
    ):
        assert enhance(photo, *words) == 0
        assert capsys.readouterr().out.startswith("1 enhanced")
        assert enhance(photo, *words) == 0
        assert capsys.readouterr().out.startswith("0 enhanced; 1 done before")
    words = ["enhance", str(photo), "--method", "auto_gamma", "--level", "0.4", "--quality", "90"]
    assert main.main(words) == 0
    assert capsys.readouterr().out.startswith("1 enhanced")


def test_an_unknown_method_is_refused_though_all_is_done(folder, capsys):
    assert enhance(folder) == 0
    assert main.main(["enhance", str(folder), "--method", "gama"]) == 1
    assert "No enhancer 'gama'" in capsys.readouterr().err


def test_16_bits_say_what_made_them_too(tmp_path, capsys):
    pytest.importorskip("tifffile", reason="16-bit TIFF needs tifffile")
    write_photo(tmp_path / "a.tif", Photo(np.full((24, 32, 3), 9000, np.uint16)))
    for expected in ("1 enhanced", "0 enhanced; 1 done before"):
        assert enhance(tmp_path / "a.tif") == 0
        assert capsys.readouterr().out.startswith(expected)
    assert read_photo(tmp_path / "a_enhanced.tif").pixels.dtype == np.uint16


def test_the_camera_stays_in_the_exif(tmp_path):
    exif = Image.Exif()
    exif[305], exif[271] = "camera firmware 1.2", "Maker"
    Image.new("RGB", (32, 24), (20, 20, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert enhance(tmp_path / "a.jpg") == 0
    with Image.open(tmp_path / "a_enhanced.jpg") as result:
        kept = result.getexif()
    assert (kept[305], kept[271]) == ("camera firmware 1.2", "Maker")
    assert kept[11].startswith("lle-utils: gamma; level its own; quality 95; photo ")


def test_a_bmp_cannot_say_what_made_it(tmp_path, capsys):
    save(tmp_path / "a.bmp", np.full((24, 32, 3), 30, np.uint8))
    for expected in ("1 enhanced", "0 enhanced"):
        assert enhance(tmp_path / "a.bmp") == 0
        assert capsys.readouterr().out.startswith(expected)


def test_bad_photos_are_listed_at_the_end_and_the_others_are_enhanced(folder, tmp_path, capsys):
    broken = folder / "1.png"
    broken.write_bytes(broken.read_bytes()[:-40])
    (folder / "text.jpg").write_text("no photo")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert enhance(folder / "9.png", folder, "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert said.out.endswith("3 enhanced, in " + str(tmp_path / "out") + "; 3 failed\n")
    complaints = said.err.splitlines()
    assert all(line.startswith("lle: ") for line in complaints)
    assert {str(folder / name) in said.err for name in ("9.png", "1.png", "text.jpg")} == {True}
    assert names(tmp_path / "out") == ["0_enhanced.png", "2_enhanced.png", "3_enhanced.png"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_input_is_never_overwritten(folder, tmp_path, capsys):
    assert enhance(folder) == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert enhance(folder / "0.png", folder / "0_enhanced.png", "--overwrite") == 1
    assert "is one of the photos" in capsys.readouterr().err
    other = save(tmp_path / "other" / "0.png", np.zeros((4, 4, 3), np.uint8))
    assert enhance(folder / "0.png", other, "-o", tmp_path) == 1
    assert "would both be written" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_cannot_be_asked_for_is_refused_first(folder, tmp_path, capsys):
    for words, expected in {
        ("--level", "-1"): "expected a mean brightness",
        ("--level", "nan"): "expected a mean brightness",
        ("--quality", "0"): "expected 1 to 100",
        ("--workers", "0"): "expected 1 or more",
        ("--memory", "lots"): "expected one such as 2GB",
    }.items():
        assert enhance(folder, *words) == 1, words
        assert expected in capsys.readouterr().err
    assert enhance(tmp_path / "*.gif") == 1
    assert "No photo matches" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert enhance(tmp_path / "empty") == 1
    assert "holds no photo" in capsys.readouterr().err
    assert main.main(["enhance", str(folder), "--method", "no_such"]) == 1
    assert "no_such" in capsys.readouterr().err
    assert len(names(folder)) == 4


def test_memory_that_does_not_suffice_fails_that_photo_alone(folder, tmp_path, capsys):
    save(folder / "large.png", np.zeros((700, 800, 3), np.uint8))
    words = ["enhance", str(folder), "-o", str(tmp_path / "out"), "--method", "zero_dce_pp"]
    assert main.main([*words, "--memory", "0.9GB", "--workers", "1"]) == 1
    assert "Raise the limit" in capsys.readouterr().err


def test_formats_metadata_and_16_bits(folder, tmp_path):
    pytest.importorskip("tifffile", reason="16-bit TIFF needs tifffile")
    from lle_utils.core.photo_formats import Photo, read_photo, write_photo

    exif = Image.Exif()
    exif[271] = "Maker"
    deep = np.random.default_rng(1).integers(0, 9000, (20, 30, 3)).astype(np.uint16)
    write_photo(tmp_path / "deep.tif", Photo(deep, icc=b"profile" * 20))
    Image.new("RGB", (40, 20), (20, 10, 5)).save(tmp_path / "phone.jpg", exif=exif)
    assert enhance(tmp_path / "*.tif", tmp_path / "*.jpg", "-o", tmp_path / "out") == 0
    result = read_photo(tmp_path / "out" / "deep_enhanced.tif")
    assert (result.pixels.dtype, result.icc) == (np.uint16, b"profile" * 20)
    assert len(np.unique(result.pixels)) > 400  # more steps than 8 bits have
    assert b"Maker" in read_photo(tmp_path / "out" / "phone_enhanced.jpg").metadata.exif
    assert enhance(tmp_path / "deep.tif", "-o", tmp_path / "out", "--format", "webp") == 0
    assert "deep_enhanced.webp" in names(tmp_path / "out")


@pytest.mark.slow
def test_all_runtimes_give_the_same_photos_from_several_threads(tmp_path):
    pytest.importorskip("openvino", reason="pip install 'lle-utils[export]'")
    lows = synthetic.synthetic_pairs(6, (60, 90), 1).low
    for index, low in enumerate(lows):
        save(tmp_path / "photos" / f"{index}.png", low)
    for runtime in RUNTIMES:
        words = ["enhance", str(tmp_path / "photos"), "-o", str(tmp_path / runtime)]
        words += ["--method", "zero_dce", "--runtime", runtime, "--workers", "4"]
        assert main.main(words) == 0
    for runtime in RUNTIMES:
        assert names(tmp_path / runtime) == names(tmp_path / "keras")
    alone = load_method("zero_dce", "keras")
    for index, low in enumerate(lows):
        ours, *others = (
            np.asarray(Image.open(tmp_path / runtime / f"{index}_enhanced.png")).astype(int)
            for runtime in RUNTIMES
        )
        np.testing.assert_array_equal(ours, alone(low))
        assert max(np.abs(ours - other).max() for other in others) <= 1


def test_openvino_needs_no_keras_and_sends_no_telemetry(folder, tmp_path):
    pytest.importorskip("openvino", reason="pip install 'lle-utils[export]'")
    code = (
        "import sys; from lle_utils.cli import main; failed = main.main(sys.argv[1:]);"
        "print(failed, *sorted({'keras', 'tensorflow', 'openvino'} & set(sys.modules)),"
        "sys.modules.get('openvino_telemetry'))"
    )
    words = ["enhance", str(folder), "--method", "zero_dce", "--runtime", "openvino"]
    environment = os.environ | {"HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", code, *words, "-o", str(tmp_path / "out")]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.splitlines()[-1] == "0 openvino None"
    assert not (tmp_path / "home" / "intel").exists()


@pytest.mark.slow
def test_openvino_keeps_the_memory_limit_of_large_photos():
    pytest.importorskip("openvino", reason="pip install 'lle-utils[export]'")
    low = np.tile(synthetic.synthetic_pairs(1, (150, 200), 1).low[0], (5, 4, 1))
    method = load_method("zero_dce", "openvino")
    tiled, whole = method(low, memory=1_150_000_000), load_method("zero_dce", "keras")(low)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_openvino_is_for_enhancers_of_one_network(folder, capsys):
    words = ["enhance", str(folder), "--method", "shed_light", "--runtime", "openvino"]
    assert main.main(words) == 1
    assert "shed_light has two networks, which do not run in openvino" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_files_and_a_second_run_finishes(tmp_path):
    rng, moments = np.random.default_rng(0), random.Random(0)
    photos = {}
    for index in range(30):
        photo = rng.integers(0, 60, (200, 300, 3), np.uint8)
        save(tmp_path / "photos" / f"{index}.png", photo)
        photos[f"{index}_enhanced.png"] = load_method("gamma")(photo)
    command = [sys.executable, "-m", "lle_utils.cli.main", "enhance", str(tmp_path / "photos")]
    command += ["-o", str(tmp_path / "out"), "--method", "gamma", "--overwrite"]
    begun = runs = 0
    while begun < 3 and runs < 30:
        runs += 1
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while run.poll() is None and not list(tmp_path.glob(f"out/.partial-{run.pid}-*")):
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        run.kill()
        run.wait()
        begun += bool(list(tmp_path.glob(f"out/.partial-{run.pid}-*")))
        for path in (tmp_path / "out").glob("[!.]*"):
            np.testing.assert_array_equal(np.asarray(Image.open(path)), photos[path.name])
    (tmp_path / "out" / "0_enhanced.png").unlink(missing_ok=True)  # so that the last has work
    assert begun == 3, f"{begun} of {runs} runs were killed while they wrote"
    assert subprocess.run(command[:-1], capture_output=True).returncode == 0
    assert names(tmp_path / "out") == sorted(photos)


def test_the_quickest_runtime_that_keeps_results_is_preferred():
    case = {"seconds": {"keras": 3.0, "openvino": 2.0, "openvino-fast": 1.0}}
    case["differences"] = {"keras": 0, "openvino": 1, "openvino-fast": 1}
    assert quickest(case) == "openvino-fast"
    case["differences"]["openvino-fast"] = 2
    assert quickest(case) == "openvino"
    case["seconds"] |= {"openvino": None, "openvino-fast": None}  # not installed
    assert quickest(case) == "keras"
    case["seconds"]["onnx"], case["differences"]["onnx"] = 2.5, 1
    assert quickest(case) == "onnx"


@pytest.fixture
def raw_folder(tmp_path):
    """A folder of two raw frames of 80x120 and a photo."""
    for module in ("rawpy", "tifffile"):
        pytest.importorskip(module, reason=f"camera raw needs {module}")
    scene = to_float(synthetic.sample_scenes()["chelsea"])[:80, :120]
    save(tmp_path / "night" / "c.png", to_uint8(scene) // 9)
    for name, ratio in (("a", 20), ("b", 100)):
        write_dng(tmp_path / "night" / f"{name}.dng", RawCamera().shoot(scene, ratio, 1))
    return tmp_path / "night"


def test_raw_files_of_a_folder_are_developed_by_a_raw_enhancer(raw_folder, tmp_path, capsys):
    words = ["enhance", str(raw_folder), "-o", str(tmp_path / "lit"), "--method", "raw_unet"]
    words += ["--level", "0.5"]
    assert main.main(words) == 0
    assert "2 enhanced" in capsys.readouterr().out
    assert names(tmp_path / "lit") == ["a_enhanced.tif", "b_enhanced.tif"]
    result = read_photo(tmp_path / "lit" / "a_enhanced.tif").pixels
    assert result.dtype == np.uint16
    assert result.shape == (80, 120, 3)
    assert result.mean() / 65535 == pytest.approx(0.5, abs=0.02)
    assert main.main(words) == 0
    assert "2 done before" in capsys.readouterr().out


def test_a_photo_for_a_raw_enhancer(raw_folder, tmp_path, capsys):
    photo = str(raw_folder / "c.png")
    assert main.main(["enhance", photo, "-o", str(tmp_path), "--method", "raw_unet"]) == 1
    assert "c.png is no camera raw file; expected .arw" in capsys.readouterr().err
