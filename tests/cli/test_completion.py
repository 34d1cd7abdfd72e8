"""Completion in shells, asked as they ask."""

import shutil
import subprocess
import sys

import pytest

from lle_utils.cli import main
from lle_utils.enhancers.classical import BASELINES
from lle_utils.enhancers.storage import list_enhancers
from lle_utils.notebook_tools.cells import list_notebooks

pytest.importorskip("shtab", reason="pip install 'lle-utils[completion]'")

METHODS = {*list_enhancers(), *list_enhancers(raw=True), *BASELINES}
IN_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p lle | sed 's/.*-F \\([^ ]*\\) .*/\\1/') 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
IN_FISH = "source $argv[1]; complete -C $argv[2]"


@pytest.fixture(scope="module", params=["bash", "fish"])
def complete(request, tmp_path_factory):
    """A function from the words of a command, the last unfinished, to how a shell completes it."""
    shell, folder = request.param, tmp_path_factory.mktemp("shell")
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    command = [sys.executable, "-m", "lle_utils.cli.main", "completion", shell]
    script = folder / f"lle.{shell}"
    script.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    (folder / "night.jpg").write_text("a photo")
    inside = {"bash": ["-c", IN_BASH, "bash"], "fish": ["--no-config", "-c", IN_FISH]}[shell]

    def run(*words):
        asked = [" ".join(words)] if shell == "fish" else words
        line = [shell, *inside, str(script), *asked]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True)
        return {text.split("\t")[0] for text in done.stdout.splitlines() if text}

    return run


def test_commands_and_options_are_completed(complete):
    assert complete("lle", "ev") == {"evaluate"}
    assert complete("lle", "experiment", "re") == {"report", "record", "resume"}
    assert {"--method", "--memory"} <= complete("lle", "enhance", "--me")
    assert "--to" not in complete("lle", "enhance", "--")


def test_names_are_completed(complete):
    assert complete("lle", "enhance", "night.jpg", "--method", "lum") == {"lumen", "lumen_tiny"}
    assert complete("lle", "video", "a.mp4", "b.mp4", "--method", "") >= METHODS
    assert complete("lle", "export", "raw") == {"raw_unet"}
    assert complete("lle", "export", "lumen", "--to", "o") == {"onnx", "openvino"}
    assert complete("lle", "run", "1") == {name for name in list_notebooks() if name[0] == "1"}
    assert complete("lle", "run", "--profile", "qu") == {"quick"}


def test_files_are_completed(complete):
    assert complete("lle", "enhance", "ni") == {"night.jpg"}


def test_zsh_can_read_its_script(capfd):
    if not shutil.which("zsh"):
        pytest.skip("no zsh here")
    assert main.main(["completion", "zsh"]) == 0
    script = capfd.readouterr().out
    assert "lumen_tiny" in script
    subprocess.run(["zsh", "-n"], input=script, text=True, check=True)


def test_without_the_extra_the_message_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main.main(["completion", "bash"]) == 1
    assert "pip install 'lle-utils[completion]'" in capsys.readouterr().err
