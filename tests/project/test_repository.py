"""What the repository must not hold, and what its documents must."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from lle_utils.core.images import SUFFIXES
from lle_utils.core.paths import project_root
from lle_utils.notebook_tools.cells import list_notebooks

ROOT = project_root()
NOTEBOOKS = list_notebooks(ROOT)


@cache
def files():
    """List the files that are committed, or would be by ``git add``."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = sorted(set(listed.stdout.split("\0")) - {""})
    assert "pyproject.toml" in names
    return [name for name in names if (ROOT / name).is_file()]


def texts(*suffixes):
    for name in files():
        if name.endswith(suffixes):
            yield name, (ROOT / name).read_text(encoding="utf-8")


def test_no_photo_or_array_of_a_data_set_is_committed():
    data = (*SUFFIXES, ".gif", ".dng", ".arw", ".raf", ".npz", ".npy", ".zip", ".rar", ".h5")
    # Figures, NIQE's model, and the pictures of README and notebook 05, of bundled scenes.
    pictures = r"data/pictures/(enhanced\.jpg|discriminator\.png)$"
    allowed = re.compile(rf"data/results/|lle_utils/metrics/niqe_pristine\.npz$|{pictures}")
    found = [name for name in files() if Path(name).suffix.lower() in data]
    assert [name for name in found if not allowed.match(name)] == []


def test_notebooks_hold_no_outputs():
    for name, text in texts(".ipynb"):
        assert not any(cell.get("outputs") for cell in json.loads(text)["cells"]), name


def test_local_links_lead_somewhere():
    for name, text in texts(".md"):
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name}: {link}"


def test_every_glossary_entry_names_the_notebook_that_introduces_it():
    entries = re.findall(
        r"^\*\*(.+?)\*\*(.*?)(?=\n\n|\Z)", (ROOT / "GLOSSARY.md").read_text(), re.M | re.S
    )
    assert len(entries) > 60
    for term, text in entries:
        last = re.search(r"`(\d\d_\w+)`\s*$", text)
        assert last is not None, term
        assert last[1] in NOTEBOOKS, term
    terms = [re.sub(r"[^a-z]", "", term.lower()) for term, _ in entries]
    assert terms == sorted(terms)
