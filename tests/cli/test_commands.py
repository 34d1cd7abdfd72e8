"""The command line, called as a user calls it."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main, measure
from lle_utils.core import paths
from lle_utils.data import npz_dataset
from lle_utils.data.evaluation_sets import EVALUATION_SETS, EvaluationSet
from lle_utils.data.pairs import find_pairs, paired_folders
from lle_utils.evaluation import behavior, records
from lle_utils.evaluation.scoring import TOLD
from lle_utils.notebook_tools import cells
from lle_utils.serving.limits import Limits


def fails_with(capsys, *words: str) -> str:
    """Run a command that must fail and return what it said, one line without a traceback."""
    assert main.main(words) == 1
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
    assert main.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == cells.list_notebooks()
    assert all(len(line.split()) > 1 for line in lines)


def test_the_parser_imports_nothing_heavy():
    code = (
        "import sys; from lle_utils.cli import main; main.make_parser();"
        "heavy = {'numpy', 'keras', 'tensorflow', 'papermill', 'jupytext', 'PIL', 'nbformat',"
        "'shtab'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def test_an_expected_error_is_one_line(capsys):
    assert "'99_none'; there are: 00_" in fails_with(capsys, "run", "99_none")
    assert "'fast'; there are: colab, cpu, discriminator, full, quick" in fails_with(
        capsys, "run", "--profile", "fast"
    )
    assert "no_such" in fails_with(capsys, "data", "download", "no_such")
    assert "nowhere" in fails_with(capsys, "data", "audit", "nowhere")
    assert "nothing: methods, folder" in fails_with(capsys, "bench", "nothing")
    assert "jobs is 0" in fails_with(capsys, "run", "--jobs", "0")


def test_debug_shows_the_traceback():
    with pytest.raises(cells.NotebookError):
        main.main(["--debug", "run", "99_none"])


def test_a_defect_of_the_program_is_not_hidden(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(cells, "list_notebooks", broken)
    with pytest.raises(ZeroDivisionError):
        main.main(["list"])


def test_data_list_shows_size_and_licence(capsys):
    assert main.main(["data", "list"]) == 0
    assert "lol_v1" in capsys.readouterr().out


def test_data_pack_crops_pairs_into_a_readable_pack(pairs, capsys):
    target = pairs / "pack.npz"
    words = ["data", "pack", str(pairs), str(target), "--crop", "16", "20", "--split", "val"]
    assert main.main(words) == 0
    pack = npz_dataset.open_pack(target)
    assert pack.low.shape == (3, 16, 20, 3)
    assert set(pack.splits) == {"val"}
    assert str(target) in capsys.readouterr().out


def test_data_audit_flags_a_mismatched_pair_and_exits_with_one(pairs, capsys):
    assert main.main(["data", "audit", str(pairs)]) == 0
    wrong = np.random.default_rng(9).integers(0, 32, (24, 32, 3), np.uint8)
    Image.fromarray(wrong).save(pairs / "low" / "1.png")
    assert main.main(["data", "audit", str(pairs)]) == 1
    flagged = [line for line in capsys.readouterr().out.splitlines() if "mismatch" in line]
    assert [line.split()[0] for line in flagged] == ["1"]


def test_an_unpaired_photo_is_named(pairs, capsys):
    (pairs / "low" / "2.png").unlink()
    message = fails_with(capsys, "data", "pack", str(pairs), str(pairs / "pack.npz"))
    assert "2" in message
    assert not (pairs / "pack.npz").exists()


def test_pack_and_notebooks_are_commands_too(pairs, capsys):
    assert main.main(["pack", str(pairs), str(pairs / "pack.npz"), "--size", "12", "16"]) == 0
    assert npz_dataset.open_pack(pairs / "pack.npz").low.shape == (3, 12, 16, 3)
    capsys.readouterr()
    assert main.main(["list"]) == main.main(["notebooks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_every_command_has_a_help_text(capsys):
    commands = ("enhance", "train", "run", "pack", "data", "evaluate", "behavior", "export")
    for words in ([command] for command in commands):
        with pytest.raises(SystemExit) as stop:
            main.main([*words, "--help"])
        assert stop.value.code == 0
        assert f"Example: lle {words[0]} " in " ".join(capsys.readouterr().out.split())


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "lle_utils.serving.app", raising=False)
    monkeypatch.setitem(sys.modules, "waitress", None)
    said = fails_with(capsys, "serve")
    assert "`lle serve` needs waitress: pip install 'lle-utils[serve]'." in said


def test_every_limit_of_the_server_is_an_option_with_its_default():
    options = vars(main.make_parser().parse_args(["serve"]))
    assert {name: options[name] for name in vars(Limits())} == vars(Limits())


def test_train_finds_the_notebook_of_an_enhancer(capsys):
    assert cells.training_notebook("mirnet") == "04_mirnet"
    assert cells.training_notebook("zero_dce_pp") == "03_zero_dce"
    assert cells.training_notebook("05_pix2pix") == "05_pix2pix"
    assert "there are: zero_dce, mirnet" in fails_with(capsys, "train", "metrics")


def test_evaluate_scores_pairs_and_keeps_the_rows_of_other_methods(pairs, tmp_path, monkeypatch):
    rows = ["evaluate", "--metrics", "psnr", "--method"]
    found = find_pairs(*paired_folders(pairs))
    shown = EvaluationSet("pairs", found, {pair.name: int(pair.name) for pair in found})
    monkeypatch.setitem(EVALUATION_SETS, "lol_val", lambda: shown)
    monkeypatch.setattr(records, "data_dir", lambda: tmp_path)
    assert main.main([*rows, "input"]) == 0
    assert main.main([*rows, "gamma"]) == 0
    stored = records.load_records("lol_val")
    assert list(stored) == ["input", "gamma"]
    low, normal = (np.asarray(Image.open(pairs / kind / "0.png")) for kind in ("low", "normal"))
    mse = np.mean((low / 255.0 - normal / 255.0) ** 2)
    assert stored["input"]["values"]["psnr"][0] == pytest.approx(-10 * np.log10(mse))
    assert main.main([*rows, "input", "--level-told"]) == 0
    (told,) = records.load_records("lol_val_told").values()
    assert told["data"] == f"pairs{TOLD}"


def test_photos_without_reference_are_scored_without(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    words = ["evaluate", "--photos", str(pairs / "low"), "--method", "gamma"]
    assert main.main([*words, "--metrics", "loe", "darkened"]) == 0
    said = capsys.readouterr().out
    assert "3 photos of low, without reference" in said
    stored = records.load_records("low", tmp_path / "runs" / "evaluate")
    assert stored["gamma"]["images"] == ["0.png", "1.png", "2.png"]
    assert stored["gamma"]["values"]["darkened"] == [0, 0, 0]
    assert "takes levels from references" in fails_with(capsys, *words, "--level-told")
    assert "psnr compares with references" in fails_with(capsys, *words, "--metrics", "psnr")
    assert "No metric is called prsn; known" in fails_with(capsys, *words, "--metrics", "prsn")
    (tmp_path / "empty").mkdir()
    assert "empty holds no photos" in fails_with(capsys, *words[:2], str(tmp_path / "empty"))


def test_evaluate_offers_the_sets_that_there_are(capsys):
    assert set(EVALUATION_SETS) == set(measure.SETS)
    with pytest.raises(SystemExit):
        main.main(["evaluate", "--data", "sid"])
    assert "'lol_val'" in capsys.readouterr().err


def test_behavior_adds_a_column_to_the_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(behavior, "data_dir", lambda: tmp_path)
    photo = np.random.default_rng(0).integers(10, 60, (40, 56, 3), np.uint8)
    for name in "ab":
        (tmp_path / "unpaired" / "c").mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "unpaired" / "c" / f"{name}.png")
    assert main.main(["behavior", "--method", "gamma", "--factors", "2", "--photos", "1"]) == 0
    capsys.readouterr()
    assert main.main(["behavior", "--method", "input", "--factors", "2", "4"]) == 0
    said = capsys.readouterr().out
    assert "| measure | limit | gamma | input |" in said
    assert "- input keeps 10 of 11 limits; it misses noise on 2 of 2 images" in said
    records = behavior.load_behavior()
    assert list(records["gamma"]["values"]["noise"]) == ["c/a"]
    assert list(records["input"]["values"]["noise"]) == ["c/a", "c/b"]
    assert measure.ENLARGEMENTS == behavior.FACTORS
    with pytest.raises(SystemExit):
        main.main(["behavior", "--factors", "3"])
    assert "invalid choice: 3" in capsys.readouterr().err


def put(folder, name, version, *requires):
    """Write what an installation tells about a package."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    (about / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, "", ""]))


def test_the_doctor_says_what_is_there_and_how_to_get_the_rest(tmp_path, capsys, monkeypatch):
    asked = ["there>=1.26", 'flasque>=3; extra == "serve"', 'missing>=3; extra == "serve"']
    asked += ['flasque>=2; extra == "train"', 'lle-utils[train]; extra == "notebooks"']
    asked += ['absent; extra == "notebooks"', 'never; sys_platform == "none" and extra == "lab"']
    put(tmp_path, "lle_utils", "99", *asked)
    put(tmp_path, "there", "1.0")
    put(tmp_path, "flasque", "3.1")
    monkeypatch.syspath_prepend(tmp_path)
    assert main.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "there 1.0 (wanted: >=1.26): pip install 'lle-utils'" in said
    assert " missing: pip install 'lle-utils[serve]'" in said
    assert " absent: pip install 'lle-utils[notebooks]'" in said
    lacking = [line.split()[1] for line in said.splitlines() if line.startswith("lacks")]
    assert lacking == ["base", "serve", "notebooks"]
    shutil.rmtree(tmp_path / "there-1.0.dist-info")
    put(tmp_path, "there", "2.0")
    assert main.main(["doctor"]) == 0


def test_output_that_nobody_reads_to_its_end_is_no_error():
    command = [sys.executable, "-u", "-m", "lle_utils.cli.main", "methods"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # before the first line, as `head` does after its last
    assert process.wait() == 1
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http"])
def test_a_port_that_is_none_is_refused(port, capsys):
    with pytest.raises(SystemExit):
        main.main(["serve", f"--port={port}"])
    assert f"{port} is no port; expected 1 to 65535" in capsys.readouterr().err
