"""Run the notebooks as Colab does: its versions, its module, its setup cell, a clone.

``make colab`` makes an environment of `oldest.txt` or `newest.txt`, puts a stand-in for the module
``google.colab`` into it, and runs notebooks in a kernel of it from their first cell on, which
clones this checkout and installs the package. What is committed counts. Some minutes and 2 GB
of downloads; needs a folder ``/content`` that can be written, and deletes the clone in it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLONE = Path("/content/low-light-notebooks")
STAND_IN = '''"""A stand-in for Colab's module: a Drive that is a folder."""


class drive:
    @staticmethod
    def mount(place, **options):
        import os

        os.makedirs(f"{place}/MyDrive", exist_ok=True)
'''


def make_environment(folder: Path, requirements: Path) -> Path:
    """Make an environment and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*install, "pip", "-r", requirements], check=True)
    site = next((folder / "lib").glob("python*")) / "site-packages" / "google" / "colab"
    site.mkdir(parents=True, exist_ok=True)
    (site / "__init__.py").write_text(STAND_IN)
    return python


def run(name: str, python: Path, environment: dict[str, str]) -> str | None:
    """Run one notebook from its first cell on; return what went wrong."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    # Colab's own kernel has loaded the module before the first cell.
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import google.colab"))
    manager = KernelManager()
    manager.kernel_spec.argv[0] = str(python)
    client = NotebookClient(notebook, km=manager, timeout=1800)
    try:
        with tempfile.TemporaryDirectory() as folder:
            client.execute(cwd=folder, env=environment)
    except CellExecutionError as error:
        return str(error)
    return None


def main() -> int:
    """Check one set of versions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", choices=("oldest", "newest"))
    parser.add_argument("notebooks", nargs="*", help="such as 04_mirnet (all)")
    options = parser.parse_args()
    names = options.notebooks or sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))
    shutil.rmtree(CLONE, ignore_errors=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder) / "venv", HERE / f"{options.versions}.txt")
        unset = ("LLE_DATA_DIR", "LLE_PACK_DIR")
        environment = {k: v for k, v in os.environ.items() if k not in unset}
        environment |= {"LLE_REPOSITORY": str(ROOT), "PYTHONNOUSERSITE": "1"}
        for name in names:
            started = time.monotonic()
            wrong = run(name, python, environment)
            print(f"{name}: {wrong or 'passed'} in {time.monotonic() - started:.0f} s", flush=True)
            failed += [name] if wrong else []
        code = "from lle_utils import core; print(core.versions())"
        subprocess.run([python, "-c", code], check=True, cwd=folder)
    shutil.rmtree(CLONE, ignore_errors=True)
    print(
        f"{len(names) - len(failed)} of {len(names)} notebooks passed, {options.versions} versions"
    )
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
