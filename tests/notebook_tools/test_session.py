"""What a notebook does first: the profile that is asked for, and where results go."""

import sys
import types

import jupytext
import nbformat
import papermill
import pytest

from lle_utils.notebook_tools import session
from lle_utils.notebook_tools.cells import find_cell, list_notebooks, parameters_of, source_path
from lle_utils.notebook_tools.run import ParameterError, load_profile


def opened(name, **changes):
    """The globals of a notebook after its parameters cell, some of it edited by hand."""
    return {**parameters_of(name), **changes}


def test_without_a_profile_nothing_changes(capsys):
    space = opened("04_mirnet")
    session.start("04_mirnet", space)
    assert space == opened("04_mirnet")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", list_notebooks())
def test_every_notebook_takes_the_profile_colab(name, capsys):
    space = opened(name, profile="colab")
    session.start(name, space)
    wanted = load_profile("colab")[name]
    assert {key: space[key] for key in wanted} == wanted
    if wanted:
        assert capsys.readouterr().out.startswith("profile colab: ")


def test_what_was_edited_by_hand_stays():
    space = opened("04_mirnet", profile="colab", steps=7)
    session.start("04_mirnet", space)
    assert (space["steps"], space["size"], space["source"]) == (7, "base", "lol")


def test_what_papermill_gave_stays_even_if_it_is_the_default():
    default = parameters_of("04_mirnet")["steps"]
    cell = f'# Parameters\nprofile = "colab"\nsteps = {default}\n'
    space = opened("04_mirnet", profile="colab", In=["", "import os", cell])
    session.start("04_mirnet", space)
    assert space["steps"] == default
    assert space["size"] == "base"


def test_an_unknown_profile_is_an_error():
    with pytest.raises(ParameterError, match="'colab2'; there are: colab, cpu"):
        session.start("04_mirnet", opened("04_mirnet", profile="colab2"))


def test_drive_is_mounted_in_colab(monkeypatch, tmp_path, capsys):
    mounted = []
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(session, "DRIVE", tmp_path / "drive")
    monkeypatch.setenv("LLE_PACK_DIR", "")
    monkeypatch.delenv("LLE_PACK_DIR")
    space = opened("04_mirnet", output_dir="drive")
    session.start("04_mirnet", space)
    folder = tmp_path / "drive" / "MyDrive" / "low-light-notebooks"
    assert mounted == [str(tmp_path / "drive")]
    assert space["output_dir"] == str(folder / "04_mirnet")
    import os

    assert os.environ["LLE_PACK_DIR"] == str(folder / "packs")
    assert "Results go to" in capsys.readouterr().out


def test_drive_elsewhere_is_an_error():
    with pytest.raises(RuntimeError, match="is for Colab; elsewhere name a folder"):
        session.start("04_mirnet", opened("04_mirnet", output_dir="drive"))


@pytest.mark.notebook
def test_papermill_gives_a_profile_and_parameters_that_win(tmp_path):
    cell = find_cell(
        source_path("04_mirnet"), source_path("04_mirnet").read_text(), "parameters"
    ).source
    text = f"""# %% tags=["parameters"]
{cell}

# %%
from lle_utils.notebook_tools import start

start("04_mirnet", globals())
print(steps, size, source)
"""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "p"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    given = {"profile": "colab", "steps": 20}
    found = papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), given, progress_bar=False
    )
    said = "".join(output.get("text", "") for output in found.cells[-1].outputs)
    assert said.splitlines()[-1] == "20 base lol"
