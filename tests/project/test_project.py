"""Files that say the same thing twice agree, and none ties the project to one machine."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lle_utils.core.paths import project_root
from lle_utils.notebook_tools import cells

ROOT = project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# These compute with Keras as soon as they are imported; all others stay quick to import.
HEAVY = {"adversarial", "layers", "losses", "streams", "supervised", "training"}
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".json", ".ipynb", ".lock", ".txt", ""}


def tracked_files() -> list[Path]:
    """List the text files that git keeps, or skip where there is no git checkout."""
    outcome = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if outcome.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in outcome.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def lines_with(pattern: str, files: list[Path]) -> list[str]:
    """Return ``file:line`` of every match."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]


def by_name(requirements: list[str]) -> dict[str, Requirement]:
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def asked_by(*extras: str) -> list[str]:
    """List what the package asks for, with extras; what they have of each other is not repeated."""
    listed = [text for name in extras for text in PROJECT["optional-dependencies"][name]]
    return [text for text in [*PROJECT["dependencies"], *listed] if "lle-utils" not in text]


def ranges(requirements: list[str]) -> dict[str, str]:
    return {name: str(r.specifier) for name, r in by_name(requirements).items()}


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in " #"]


def test_conda_and_pip_ask_for_the_same():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [item for item in listed if isinstance(item, str) and item != "pip"]
    (pip,) = (item["pip"] for item in listed if isinstance(item, dict))
    assert "-e ." in pip
    asked = ranges([*conda, *(item for item in pip if item != "-e .")])
    wanted = asked_by("metrics", "train", "notebooks", "tensorflow")
    wanted.append(f"python{PROJECT['requires-python']}")
    lab = ranges(PROJECT["optional-dependencies"]["lab"])  # welcome, not needed
    assert asked == ranges(wanted) | {name: lab[name] for name in lab if name in asked}


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?([\w.]+)", changes, flags=re.MULTILINE)[1]
    assert {str(citation["version"]), newest} == {PROJECT["version"]}
    assert citation["license"] == PROJECT["license"]


def test_the_lock_pins_every_dependency_within_its_range():
    pins: dict[str, list[Requirement]] = {}
    for pin in locked():
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for text in asked_by("metrics", "train", "notebooks", "cpu", "test"):
        wanted = Requirement(text)
        found = pins.get(canonicalize_name(wanted.name), [])
        assert found, f"{wanted.name} is not in requirements.lock; run `make lock`"
        for pin in found:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert wanted.specifier.contains(exact.version), f"{pin} is outside {wanted.specifier}"


def is_installed(pin: Requirement) -> bool:
    """Say whether this environment has exactly the pinned version."""
    try:
        return pin.specifier.contains(metadata.version(pin.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def is_for(pin: Requirement, python: str) -> bool:
    """Say whether the line counts on this platform with another Python, such as ``3.12.0``."""
    short = python.rpartition(".")[0]
    other = {"python_version": short, "python_full_version": python}
    return pin.marker is None or pin.marker.evaluate(other)


def test_every_line_of_the_lock_admits_every_python():
    """Where one does not, pip refuses the whole lock; uv, its author, overlooks upper bounds."""
    supported = SpecifierSet(PROJECT["requires-python"])
    pythons = list(supported.filter(f"3.{minor}.0" for minor in range(40)))
    assert pythons == ["3.11.0", "3.12.0", "3.13.0"]
    pins = [pin for pin in locked() if is_installed(pin)]
    if not pins:
        pytest.skip("this environment does not come from requirements.lock")
    refused = [
        f"{pin} on {python}"
        for pin in pins
        for python in pythons
        if is_for(pin, python)
        and python not in SpecifierSet(metadata.metadata(pin.name).get("Requires-Python") or "")
    ]
    assert refused == []


def test_a_wheel_holds_every_file_of_the_package_that_is_no_code():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    package = ROOT / "lle_utils"
    taken = {
        path
        for pattern in tools["setuptools"]["package-data"]["lle_utils"]
        for path in package.glob(pattern)
    }
    files = {path for path in package.rglob("*") if path.is_file()}
    there = {path for path in files if path.suffix not in (".py", ".pyc")}
    assert len(there) > 8
    assert there == taken


def test_a_wheel_holds_every_folder_of_the_package():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    folders = {path.parent for path in (ROOT / "lle_utils").rglob("__init__.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(tools["setuptools"]["packages"]) == packages | {"lle_utils.shipped"}


def test_ranges_admit_what_colab_has():
    there = {"tensorflow": "2.20", "keras": "3.13", "numpy": "2.1", "ipywidgets": "7.7.1"}
    asked = by_name(asked_by("metrics", "train", "notebooks", "tensorflow"))
    assert all(asked[name].specifier.contains(number) for name, number in there.items())
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(Version("3.13.5"))


def test_the_public_address_is_written_once_and_generated_elsewhere(tmp_path):
    address = "{owner}/{repository}".format(**cells.public_address(ROOT))
    pattern = re.escape(address).replace("/", "[/]")
    notebooks = set(cells.notebook_folder(ROOT).glob("*"))
    assert len(lines_with(pattern, [ROOT / "pyproject.toml"])) == 1
    elsewhere = set(tracked_files()) - notebooks - {ROOT / "pyproject.toml"}
    assert lines_with(pattern, sorted(elsewhere)) == []
    for name in cells.list_notebooks(ROOT):
        text = cells.source_path(name, ROOT).read_text(encoding="utf-8")
        for cell in cells.generated_cells(name, ROOT).values():
            text = text.replace(cell.rstrip(), "")
        assert address not in text, f"{name} repeats the address outside its generated cells"


def test_files_belong_to_no_machine():
    files = tracked_files()
    folders = "|".join(["wo" + "rk", "r" + "oot", "ho" + "me"])
    assert lines_with(rf"(?<![\w.~}}*-])/(?:{folders})/", files) == []
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"), ("npmjs", "org")]
    pattern = "|".join(re.escape(".".join(parts)) for parts in hosts)
    assert lines_with(pattern, files) == []


def test_light_modules_load_no_keras_and_need_no_network():
    modules = sorted(path.stem for path in (ROOT / "lle_utils").glob("*.py"))
    light = [name for name in modules if name not in {*HEAVY, "__init__"}]
    code = (
        "import importlib, json, socket, sys\n"
        "socket.socket.connect = socket.getaddrinfo = None  # a connection is an error\n"
        f"found = {{}}\nfor name in {light}:\n"
        "    importlib.import_module('lle_utils.' + name)\n"
        "    for heavy in ('keras', 'tensorflow', 'jax', 'torch'):\n"
        "        if heavy in sys.modules: found.setdefault(heavy, name)\n"
        "print(json.dumps(found))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(outcome.stdout) == {}


def test_citation_names_the_papers_of_the_methods():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    numbers = set(re.findall(r"\b\d{4}\.\d{5}\b", str(citation["references"])))
    expected = "2001.06826 2103.00860 2003.06792 1611.07004 2101.00813 1808.04560"
    assert numbers >= set(expected.split())
    assert all(item["title"] and item["authors"] for item in citation["references"])


def test_hooks_run_what_lint_runs_and_fetch_nothing():
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in content["repos"]] == ["local"]
    hooks = [hook["entry"].split("/")[-1] for hook in content["repos"][0]["hooks"]]
    recipe = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    lint = [line.strip().removeprefix("$(BIN)/") for line in recipe.splitlines()[1:]]
    assert hooks == [command.removesuffix(" .") for command in lint]


def test_make_says_when_python_is_too_old(tmp_path):
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    words = ["make", "-C", str(ROOT), "setup", f"PYTHON={fake}", f"VENV={tmp_path / 'venv'}"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    outcome = subprocess.run(words, capture_output=True, text=True, env=clean)
    assert outcome.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed; found: Python 3.9.2." in outcome.stderr
    assert "make setup PYTHON=/path/to/python3.12" in outcome.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("uv_works_if", "tried"),
    [
        ("true", ["uv"]),
        ('[ "$UV_SYSTEM_CERTS" ]', ["uv", "uv"]),
        ('[ "$UV_NATIVE_TLS" ]', ["uv", "uv"]),  # what older versions of uv read
        ("false", ["uv", "uv", "python"]),
    ],
)
def test_make_tries_uv_then_the_certificates_of_the_system_then_pip(tmp_path, uv_works_if, tried):
    programs, log = tmp_path / "venv" / "bin", tmp_path / "log"
    programs.mkdir(parents=True)
    for name, last in {"python": "true", "uv": uv_works_if}.items():
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{log}"\n{last}\n')
        (programs / name).chmod(0o755)
    words = ["make", "-C", str(ROOT), "setup", f"VENV={programs.parent}"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "UV"))}
    subprocess.run(words, check=True, capture_output=True, env=clean)
    calls = [line for line in log.read_text().splitlines() if "-r requirements.lock" in line]
    assert [call.split()[0] for call in calls] == tried
