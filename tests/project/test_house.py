"""The floors of the package: who imports whom, how long files are, what a light import loads."""

import ast
import subprocess
import sys
from pathlib import Path

import house
import pytest

LONGEST_FILE, LONGEST_FUNCTION = 350, 45
LIGHT = ("core", "data", "metrics", "display", "evaluation", "enhancers", "training", "nn")


def code_lines(function: ast.FunctionDef, lines: list[str]) -> int:
    """Count the lines of a function that are neither blank nor its docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    skipped = range(first.lineno, first.end_lineno + 1) if is_docstring else ()
    numbers = range(function.lineno, function.end_lineno + 1)
    return sum(n not in skipped and bool(lines[n - 1].strip()) for n in numbers)


def test_no_arrow_goes_up_or_sideways_and_there_is_no_circle():
    assert house.problems() == []


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("core/a.py", "from lle_utils.data import pairs\n", "core must not import from data"),
        ("data/a.py", "def f():\n    import lle_utils.metrics.b\n", "data must not import from"),
        ("data/a.py", "from ..display import c\n", "data must not import from display"),
        ("attic/a.py", "", "attic/ is on no floor"),
        ("core/a.py", "from lle_utils.core.b import x\n", "circle: "),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path, file, text, complaint):
    package = tmp_path / "lle_utils"
    for folder in ("core", "data", "metrics", "display", Path(file).parent.name):
        (package / folder).mkdir(parents=True, exist_ok=True)
        (package / folder / "__init__.py").touch()
    (package / "core" / "b.py").write_text("from lle_utils.core.a import y\n", encoding="utf-8")
    (package / file).write_text(text, encoding="utf-8")
    (said,) = house.problems(package)
    assert complaint in said


def test_files_and_functions_stay_short():
    for path in house.PACKAGE.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= LONGEST_FILE, f"{path} has {len(lines)} lines"
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = code_lines(node, lines)
                assert length < LONGEST_FUNCTION, f"{path}: {node.name} has {length} lines"


def test_public_names_are_found_and_hide_no_module():
    code = "import sys, importlib, pathlib\n"
    code += "for folder in sys.argv[1:]:\n"
    code += "    package = importlib.import_module('lle_utils.' + folder)\n"
    code += "    files = {p.stem for p in pathlib.Path(package.__file__).parent.glob('*.py')}\n"
    code += "    for name in package.__all__:\n"
    code += "        assert name not in files, f'{folder}.{name} is a file too'\n"
    code += "        getattr(package, name)\n"
    folders = [f for f in house.FLOOR_OF if f not in ("cli", "serving", "benchmarks")]
    subprocess.run([sys.executable, "-c", code, *folders], check=True)


@pytest.mark.parametrize("folder", LIGHT)
def test_the_face_of_a_folder_loads_nothing_heavy(folder):
    code = f"import sys, lle_utils.{folder}\n"
    code += "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib', 'requests', 'psutil'}\n"
    code += "print(sorted(heavy & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_printing_a_table_loads_neither_keras_nor_the_network():
    code = "import sys; from lle_utils import evaluation, metrics\n"
    code += "evaluation.table(evaluation.load_records('lol_val')); metrics.psnr\n"
    code += "print(sorted({'keras', 'tensorflow', 'requests', 'psutil'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_contributing_tells_the_size_of_the_house():
    text = (house.PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert house.summary() in " ".join(text.split())
