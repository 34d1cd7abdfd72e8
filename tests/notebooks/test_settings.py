"""Settings of a notebook are arguments of the functions that it teaches."""

import dis
from types import CodeType

import pytest

from lle_utils.notebook_tools.cells import parameters_of, read_cells, source_path

TRAINING = ("03_zero_dce", "04_mirnet", "05_pix2pix", "06_resnet_gan", "07_shed_light")
TRAINING += ("10_raw", "11_exposures", "12_lumen", "13_retinex", "14_copies", "16_experiments")
OTHERS = ("00_start_here", "01_data", "02_metrics", "08_compare", "09_deploy", "15_runtimes")


def global_names(code, inside=False):
    """Return the global names that the functions in a code object read."""
    names = set()
    if inside:
        found = dis.get_instructions(code)
        names = {step.argval for step in found if step.opname == "LOAD_GLOBAL"}
    for part in code.co_consts:
        # A comprehension or lambda of the notebook itself may read what it likes.
        if isinstance(part, CodeType) and (inside or not part.co_name.startswith("<")):
            names |= global_names(part, inside=True)
    return names


def test_a_setting_that_is_read_as_a_global_is_found():
    text = "def f(a):\n    return [g(rate) for _ in a.steps]\n\n\nx = [width for _ in range(2)]\n"
    assert {"g", "rate"} <= global_names(compile(text, "x", "exec"))
    assert not {"width", "steps"} & global_names(compile(text, "x", "exec"))


@pytest.mark.parametrize("name", TRAINING + OTHERS)
def test_no_function_reads_a_setting_as_a_global(name):
    code = compile(source_path(name).read_text(encoding="utf-8"), name, "exec")
    assert not global_names(code) & set(parameters_of(name))


@pytest.mark.parametrize("name", TRAINING)
def test_determinism_is_asked_for_before_anything_is_computed(name):
    path = source_path(name)
    cells = read_cells(path, path.read_text(encoding="utf-8"))
    codes = [cell for cell in cells if cell.kind == "code"]
    tagged = next(n for n, cell in enumerate(codes) if "profile" in cell.tags)
    assert "core.set_seed(seed, deterministic)" in codes[tagged + 1].source
