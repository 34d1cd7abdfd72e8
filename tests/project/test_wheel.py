"""A wheel of the package, installed without what trains and without a clone."""

import os
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from lle_utils.core.paths import data_dir, project_root
from lle_utils.enhancers.factory import load_method
from lle_utils.enhancers.storage import list_enhancers, onnx_paths

ROOT = project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED_AS = {"py-cpuinfo": "cpuinfo", "pyyaml": "yaml", "scikit-image": "skimage"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the wheel is installed, and nothing beside."""
    pytest.importorskip("setuptools", reason="a wheel is built with setuptools")
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", "*.keras")
    for name in ("lle_utils", "data/pretrained", "data/results"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    words = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(built), str(source)]
    subprocess.run([*pip, *words], check=True, capture_output=True)
    (wheel,) = built.iterdir()
    words = ["install", "--no-deps", "--no-index", "--target", str(built / "site"), str(wheel)]
    subprocess.run([*pip, *words], check=True, capture_output=True)
    return built / "site"


def not_asked_for() -> list[str]:
    """List the modules that an installation without extras lacks."""
    extras = PROJECT["optional-dependencies"]
    names = {
        Requirement(text).name
        for text in [*extras["metrics"], *extras["train"], *extras["notebooks"]]
    }
    modules = [IMPORTED_AS.get(name, name) for name in names - {PROJECT["name"]}]
    return sorted([*modules, "tensorflow", "jax", "openvino", "onnx", "tf2onnx"])


def run(site, folder, *words):
    """Run `lle` of the installed wheel in a folder, with nothing of the extras to be had."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({not_asked_for()}));"
        "import lle_utils; from lle_utils.cli import main; print(lle_utils.__file__);"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    environment = os.environ | {"PYTHONPATH": str(site)}
    outcome = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert outcome.stdout.startswith(str(site)), outcome.stderr
    return outcome


def test_a_wheel_brings_the_shipped_enhancers_and_no_keras_files(site):
    shipped = site / "lle_utils" / "shipped" / "pretrained"
    expected = {path.relative_to(data_dir() / "pretrained") for name in ALL for path in files(name)}
    assert {path.relative_to(shipped) for path in shipped.rglob("*.*")} == expected


ALL = [*list_enhancers(), *list_enhancers(raw=True)]


def files(name):
    folder = data_dir() / "pretrained" / name
    return [*onnx_paths(name), *folder.glob("*.onnx"), folder / "card.json"]


def test_the_light_installation_enhances_photos_anywhere(site, tmp_path):
    low = np.random.default_rng(0).integers(0, 60, (40, 60, 3), np.uint8)
    Image.fromarray(low).save(tmp_path / "low.png")
    for method in ("lumen_tiny", "auto_gamma"):
        outcome = run(site, tmp_path, "enhance", "low.png", "-o", method, "--method", method)
        assert outcome.returncode == 0, outcome.stderr
        result = np.asarray(Image.open(tmp_path / method / "low_enhanced.png"))
        np.testing.assert_array_equal(result, load_method(method)(low))


@pytest.mark.parametrize("method", ["clahe", "gamma_clahe", "lime"])
def test_what_needs_scientific_python_says_so_before_any_photo(site, tmp_path, method):
    Image.new("RGB", (8, 8)).save(tmp_path / "low.png")
    outcome = run(site, tmp_path, "enhance", "low.png", "-o", "out", "--method", method)
    assert outcome.returncode == 1
    assert 'pip install "lle-utils[metrics]"' in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["evaluate", "behavior"])
def test_what_scores_says_what_it_needs(site, tmp_path, command):
    outcome = run(site, tmp_path, command)
    assert outcome.returncode == 1
    needed = f'`lle {command}` needs skimage: pip install "lle-utils[metrics]"'
    assert needed in outcome.stderr


def test_the_light_installation_lists_methods_and_says_what_it_lacks(site, tmp_path):
    outcome = run(site, tmp_path, "methods")
    assert outcome.returncode == 0, outcome.stderr
    assert all(f"\n{name} " in outcome.stdout for name in ALL)
    outcome = run(site, tmp_path, "enhance", "low.png", "--runtime", "keras")
    assert outcome.returncode == 1
    assert "an installed package brings the ONNX form alone" in outcome.stderr
    outcome = run(site, ROOT / "notebooks", "train", "zero_dce")  # in a clone, where it may train
    assert outcome.returncode == 1
    assert "`lle doctor` says how to get it" in outcome.stderr
