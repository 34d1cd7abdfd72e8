"""The command line, called as a user calls it."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lle_utils import cli, data, packs, results, sources


def fails_with(capsys, *words: str) -> str:
    """Run a command that must fail and return what it said, one line without a traceback."""
    assert cli.main(words) == 1
    message = capsys.readouterr().err
    assert message.startswith("lle: ")
    assert "Traceback" not in message
    return message


@pytest.fixture
def pairs(tmp_path):
    """A folder with three pairs of 24x32 photos."""
    rng = np.random.default_rng(0)
    for index in range(3):
        normal = rng.integers(0, 256, (24, 32, 3), np.uint8)
        for kind, photo in (("low", normal // 8), ("normal", normal)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(photo).save(tmp_path / kind / f"{index}.png")
    return tmp_path


def test_list_names_every_notebook_with_its_title(capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sources.list_notebooks()
    assert all(len(line.split()) > 1 for line in lines)


def test_the_parser_imports_nothing_heavy():
    code = (
        "import sys; from lle_utils import cli; cli._parser();"
        "heavy = {'numpy', 'keras', 'tensorflow', 'papermill', 'jupytext', 'PIL', 'nbformat'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def test_an_expected_error_is_one_line(capsys):
    assert "'99_none'; there are: 00_" in fails_with(capsys, "run", "99_none")
    assert "'fast'; there are: colab, cpu, full, quick" in fails_with(
        capsys, "run", "--profile", "fast"
    )
    assert "no_such" in fails_with(capsys, "data", "download", "no_such")
    assert "nowhere" in fails_with(capsys, "data", "audit", "nowhere")


def test_debug_shows_the_traceback():
    with pytest.raises(sources.NotebookError):
        cli.main(["--debug", "run", "99_none"])


def test_a_defect_of_the_program_is_not_hidden(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(sources, "list_notebooks", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_data_list_shows_size_and_licence(capsys):
    assert cli.main(["data", "list"]) == 0
    assert "lol_v1" in capsys.readouterr().out


def test_data_pack_crops_pairs_into_a_readable_pack(pairs, capsys):
    target = pairs / "pack.npz"
    words = ["data", "pack", str(pairs), str(target), "--crop", "16", "20", "--split", "val"]
    assert cli.main(words) == 0
    pack = packs.open_pack(target)
    assert pack.low.shape == (3, 16, 20, 3)
    assert set(pack.splits) == {"val"}
    assert str(target) in capsys.readouterr().out


def test_data_audit_flags_a_mismatched_pair_and_exits_with_one(pairs, capsys):
    assert cli.main(["data", "audit", str(pairs)]) == 0
    wrong = np.random.default_rng(9).integers(0, 32, (24, 32, 3), np.uint8)
    Image.fromarray(wrong).save(pairs / "low" / "1.png")
    assert cli.main(["data", "audit", str(pairs)]) == 1
    flagged = [line for line in capsys.readouterr().out.splitlines() if "mismatch" in line]
    assert [line.split()[0] for line in flagged] == ["1"]


def test_an_unpaired_photo_is_named(pairs, capsys):
    (pairs / "low" / "2.png").unlink()
    message = fails_with(capsys, "data", "pack", str(pairs), str(pairs / "pack.npz"))
    assert "2" in message
    assert not (pairs / "pack.npz").exists()


def test_enhance_blends_and_keeps_name_and_size(pairs):
    low = pairs / "low" / "0.png"
    full, half = pairs / "full", pairs / "half"
    words = ["enhance", str(low), "--enhancer", "gamma"]
    assert cli.main([*words, "-o", str(full)]) == 0
    assert cli.main([*words, "-o", str(half), "--strength", "0.5"]) == 0
    original, whole, blend = (
        np.asarray(Image.open(path)).astype(float)
        for path in (low, full / "0_enhanced.png", half / "0_enhanced.png")
    )
    assert whole.shape == original.shape
    assert whole.mean() > original.mean() + 20
    np.testing.assert_allclose(blend, (original + whole) / 2, atol=1)


def test_enhance_takes_folders_and_writes_beside_the_photos(pairs):
    for _ in range(2):  # what the first run wrote is no photo of the second
        assert cli.main(["enhance", str(pairs / "low"), "--enhancer", "gamma"]) == 0
    assert len(list((pairs / "low").glob("*_enhanced.png"))) == 3


def test_enhance_refuses_what_it_cannot_do(pairs, capsys):
    low, normal = str(pairs / "low" / "0.png"), str(pairs / "normal" / "0.png")
    assert "expected 0 to 1" in fails_with(capsys, "enhance", low, "--strength", "2")
    assert "no_such" in fails_with(capsys, "enhance", low, "--enhancer", "no_such")
    both = fails_with(capsys, "enhance", low, normal, "--enhancer", "gamma", "-o", str(pairs))
    assert "would both be written" in both
    assert not list(pairs.rglob("*_enhanced.png"))


def test_one_bad_photo_is_named_and_the_others_are_enhanced(pairs, capsys):
    broken, missing = pairs / "low" / "1.png", pairs / "low" / "9.png"
    broken.write_bytes(broken.read_bytes()[:-40])
    before = [path.read_bytes() for path in sorted((pairs / "low").iterdir())]
    photos = [str(pairs / "low" / f"{index}.png") for index in (9, 1, 0, 2)]
    assert cli.main(["enhance", *photos, "--enhancer", "gamma", "-o", str(pairs / "out")]) == 1
    complaints = capsys.readouterr().err.splitlines()
    assert len(complaints) == 2
    assert str(missing) in complaints[0]
    assert str(broken) in complaints[1]
    written = sorted(path.name for path in (pairs / "out").iterdir())
    assert written == ["0_enhanced.png", "2_enhanced.png"]
    assert [path.read_bytes() for path in sorted((pairs / "low").iterdir())] == before


def test_evaluate_scores_pairs_and_keeps_the_rows_of_other_methods(pairs, tmp_path, monkeypatch):
    rows = ["evaluate", "--split", "val", "--metrics", "psnr", "--enhancer"]
    monkeypatch.setattr(
        data, "lol_pairs", lambda split: data.find_pairs(*data.paired_folders(pairs))
    )
    monkeypatch.setattr(data, "scene_of", lambda name: int(name))
    monkeypatch.setattr(results, "data_dir", lambda: tmp_path)
    assert cli.main([*rows, "input"]) == 0
    assert cli.main([*rows, "gamma"]) == 0
    records = results.load_records("lol_val")
    assert list(records) == ["input", "gamma"]
    low, normal = (np.asarray(Image.open(pairs / kind / "0.png")) for kind in ("low", "normal"))
    mse = np.mean((low / 255.0 - normal / 255.0) ** 2)
    assert records["input"]["values"]["psnr"][0] == pytest.approx(-10 * np.log10(mse))
