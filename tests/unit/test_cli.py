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


def test_pack_and_notebooks_are_commands_too(pairs, capsys):
    assert cli.main(["pack", str(pairs), str(pairs / "pack.npz"), "--size", "12", "16"]) == 0
    assert packs.open_pack(pairs / "pack.npz").low.shape == (3, 12, 16, 3)
    capsys.readouterr()
    assert cli.main(["list"]) == cli.main(["notebooks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_every_command_has_a_help_text(capsys):
    for words in (["enhance"], ["train"], ["run"], ["pack"], ["data"], ["evaluate"], ["export"]):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, "--help"])
        assert stop.value.code == 0
        assert f"Example: lle {words[0]} " in " ".join(capsys.readouterr().out.split())


def test_train_finds_the_notebook_of_an_enhancer(capsys):
    assert sources.training_notebook("mirnet") == "04_mirnet"
    assert sources.training_notebook("zero_dce_pp") == "03_zero_dce"
    assert sources.training_notebook("05_pix2pix") == "05_pix2pix"
    assert "there are: zero_dce, mirnet" in fails_with(capsys, "train", "metrics")


def test_evaluate_scores_pairs_and_keeps_the_rows_of_other_methods(pairs, tmp_path, monkeypatch):
    rows = ["evaluate", "--split", "val", "--metrics", "psnr", "--method"]
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
