"""`lle enhance`: where results go, what they are called, what is left out; `lle methods`."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.enhancers.classical import BASELINES
from lle_utils.enhancers.storage import list_enhancers


def save(path, value=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), value, np.uint8)).save(path)
    return path


def enhance(*words) -> int:
    return main.main(["enhance", *map(str, words), "--method", "gamma"])


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_one_photo_is_written_to_the_file_that_is_named(tmp_path):
    photo, target = save(tmp_path / "a.png"), tmp_path / "out" / "b.jpg"
    assert enhance(photo, "-o", target) == 0
    assert kind_of(target) == "JPEG"
    assert files(tmp_path) == ["a.png", "out/b.jpg"]


def test_a_file_for_several_photos_and_the_photo_itself_are_refused(tmp_path, capsys):
    photos = [save(tmp_path / name) for name in ("a.png", "b.png")]
    before = photos[0].read_bytes()
    assert enhance(*photos, "-o", tmp_path / "c.png") == 1
    assert "is one file, but there are 2 photos" in capsys.readouterr().err
    assert enhance(photos[0], "-o", photos[0]) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert photos[0].read_bytes() == before


def test_a_tree_is_made_again_and_what_is_left_out_is_counted(tmp_path, capsys):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "deep" / "er" / "a.png")
    save(tmp_path / "in" / ".hidden" / "a.png")
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    assert enhance(tmp_path / "in", "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "1 file of no known kind left out; 1 subfolder left out (--recursive" in said
    assert enhance(tmp_path / "in", "-r", "-o", tmp_path / "all") == 0
    assert "subfolder" not in capsys.readouterr().out
    assert files(tmp_path / "out") == ["a_enhanced.png"]
    assert files(tmp_path / "all") == ["a_enhanced.png", "deep/er/a_enhanced.png"]


def test_a_folder_whose_subfolders_hold_the_photos_says_so(tmp_path, capsys):
    save(tmp_path / "in" / "deep" / "a.png")
    assert enhance(tmp_path / "in") == 1
    assert "Its subfolders do; --recursive takes them." in capsys.readouterr().err


def test_recursively_beside_the_photos_results_are_no_photos_of_the_next_run(tmp_path, capsys):
    save(tmp_path / "a.png")
    save(tmp_path / "deep" / "a.png")
    for said in ("2 enhanced", "0 enhanced; 2 done before"):
        assert enhance(tmp_path, "-r") == 0
        assert capsys.readouterr().out.startswith(said)
    assert len(files(tmp_path)) == 4


def test_the_suffix_may_carry_the_method_and_is_no_path(tmp_path, capsys):
    photo = save(tmp_path / "a.png")
    assert enhance(photo, "--suffix=-{method}") == 0
    assert (tmp_path / "a-gamma.png").is_file()
    assert enhance(photo, "--suffix", "/x") == 1
    assert "--suffix is '/x'; expected part of a file name" in capsys.readouterr().err


def test_without_a_suffix_a_photo_is_not_overwritten_but_another_folder_will_do(tmp_path, capsys):
    photo = save(tmp_path / "a.png")
    assert enhance(photo, "--suffix", "") == 1
    assert "which is one of the photos" in capsys.readouterr().err
    assert enhance(photo, "--suffix", "", "-o", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["a.png"]


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(tmp_path, capsys):
    photo = save(tmp_path / "a.png")
    assert enhance(photo, "-o", tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert f"{photo} -> {tmp_path / 'out' / 'a_enhanced.png'}" in said
    assert "1 would be enhanced" in said
    assert files(tmp_path) == ["a.png"]


def kind_of(path):
    with Image.open(path) as image:
        return image.format


def run(*words, stdin=b""):
    command = [sys.executable, "-m", "lle_utils.cli.main", "enhance", *words, "--method", "gamma"]
    return subprocess.run(command, input=stdin, capture_output=True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_standard_input_goes_to_standard_output_in_its_format(kind):
    content = io.BytesIO()
    Image.fromarray(np.full((12, 16, 3), 20, np.uint8)).save(content, kind)
    done = run("-", stdin=content.getvalue())
    assert done.returncode == 0, done.stderr
    result = Image.open(io.BytesIO(done.stdout))
    assert result.format == kind
    assert result.size == (16, 12)
    assert np.asarray(result).mean() == pytest.approx(255 * (20 / 255) ** (1 / 2.2), abs=3)
    assert b"1 enhanced\n" in done.stderr


def test_a_file_goes_to_standard_output_in_the_format_asked_for(tmp_path):
    done = run(str(save(tmp_path / "a.png")), "-o", "-", "--format", "jpg")
    assert kind_of(io.BytesIO(done.stdout)) == "JPEG"
    assert files(tmp_path) == ["a.png"]


def test_what_is_no_photo_on_standard_input_is_refused_and_nothing_is_written(tmp_path):
    done = run("-", stdin=b"no photo at all")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"Standard input (15 bytes) holds no photo" in done.stderr
    done = run("-", str(save(tmp_path / "a.png")))
    assert b"- stands for one photo, but there are 2" in done.stderr


def test_every_method_is_listed_with_what_it_is_for(capsys):
    assert main.main(["methods"]) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()[1:]
    listed = {line.split()[0]: line for line in lines}
    assert set(listed) == {*list_enhancers(), *list_enhancers(raw=True), *BASELINES}
    assert all(len(line.split()) > 2 for line in lines)


def test_a_card_is_printed_and_an_unknown_one_refused(capsys):
    assert main.main(["methods", "mirnet"]) == 0
    assert '"name": "mirnet"' in capsys.readouterr().out
    assert main.main(["methods", "mirnetz"]) == 1
    assert "No enhancer 'mirnetz'. Shipped:" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        main.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == "lle 0.3.0\n"
