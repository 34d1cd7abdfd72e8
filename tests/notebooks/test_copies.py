"""The slips of 14_copies: each check catches the copied form and passes the mended one."""

import ast
import inspect

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.evaluation import records as results
from lle_utils.metrics.pixelwise import psnr_float
from lle_utils.nn import zero_reference_losses
from lle_utils.nn.layers import BlurPool, UpsampleBilinear
from lle_utils.notebook_tools.cells import source_path
from lle_utils.notebook_tools.importer import definitions

NOTEBOOK = definitions("14_copies")
QUESTIONS = {name for name in vars(NOTEBOOK) if name.startswith("check_")}


def examined():
    """Return the slips that the notebook examines: the check, both forms, and what it is given."""
    pairs, slips = {}, {}
    for line in ast.parse(source_path("14_copies").read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Tuple):
            pairs[ast.unparse(line.targets[0])] = [ast.unparse(part) for part in line.value.elts]
        call = getattr(line, "value", None)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "examine":
            words = [ast.unparse(part) for part in call.args]
            given = [name for word in words[6:] for name in pairs[word.removeprefix("*")]]
            slips[words[0]] = words[2:5] + given
    return slips


SLIPS = examined()


@pytest.fixture(scope="module")
def mirnet():
    return definitions("04_mirnet")


@pytest.fixture(scope="module")
def tiny(mirnet):
    keras.utils.set_random_seed(0)
    return mirnet.mirnet(8, 1, 1)


@pytest.mark.parametrize("slip", SLIPS)
def test_the_check_catches_the_copy_and_passes_what_is_mended(slip):
    keras.utils.set_random_seed(0)
    check, copied, mended, *given = (getattr(NOTEBOOK, name) for name in SLIPS[slip])
    assert not check(copied, *given)
    assert check(mended, *given)


def test_every_form_and_check_is_examined():
    assert len(SLIPS) == 24
    used = {name for names in SLIPS.values() for name in names}
    prefixes = ("copied_", "mended_", "check_")
    unused = {name for name in vars(NOTEBOOK) if name.startswith(prefixes)} - used
    assert unused == set()


def test_a_check_is_a_question_in_one_sentence():
    for name in QUESTIONS:
        question = inspect.getdoc(getattr(NOTEBOOK, name))
        assert question.count(".") - question.count("0.1") == 1, name  # it stands in a table
        assert "|" not in question


# What the notebook calls mended is what the package does.


def test_the_mended_forms_are_those_of_the_package():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 8, 12, 3))
    assert NOTEBOOK.mended_psnr(one, other) == pytest.approx(psnr_float(one, other))
    maps = rng.random((2, 8, 12, 24)).astype("float32")
    for form, variant in (("copied", "keras_io"), ("mended", "official")):
        ours = zero_reference_losses.illumination_smoothness_loss(maps, variant)
        assert getattr(NOTEBOOK, f"{form}_smoothness")(maps) == pytest.approx(float(ours), rel=1e-5)
    x = maps[..., :3]
    for form, layer in ((NOTEBOOK.mended_halving, BlurPool()), (NOTEBOOK.mended_doubling, None)):
        np.testing.assert_array_equal(form(x), (layer or UpsampleBilinear(2))(x))


def test_a_split_uses_every_photo_once():
    scene_of = {str(n): f"scene {n // 4}" for n in range(120)}
    for split in (NOTEBOOK.copied_split, NOTEBOOK.mended_split):
        train, test = split(scene_of, np.random.default_rng(0))
        assert sorted([*train, *test]) == sorted(scene_of)


# The changes that are trained alike.


def test_each_change_of_the_copy_is_what_its_name_says(mirnet, tiny):
    blocks = NOTEBOOK.changed_blocks(mirnet)
    built = {name: mirnet.mirnet(8, 1, 1, block=block) for name, block in blocks.items()}
    faded = blocks["channel_softmax"].keywords["fusion"](16)
    np.testing.assert_allclose(ops.mean(faded([np.ones((1, 4, 4, 16), "float32")] * 3)), 3 / 16)
    assert built["channel_softmax"].count_params() == tiny.count_params()
    fewer = tiny.count_params() - built["pixel_attention"].count_params()
    assert fewer == 3 * 2 * (5 * 5 - 1)  # three streams, two maps
    kinds = {type(layer) for layer in built["max_and_nearest"].layers}
    assert kinds >= {keras.layers.MaxPooling2D, keras.layers.UpSampling2D}
    assert not kinds & {BlurPool, UpsampleBilinear}
    # The second stream's last way up is gone.
    assert built["lost_stream"].count_params() < tiny.count_params()


def test_each_change_changes_the_result_of_the_same_weights(mirnet, tiny):
    low = np.random.default_rng(0).random((1, 12, 20, 3)).astype("float32")
    before = tiny.predict_on_batch(low)
    for name in ("channel_softmax", "max_and_nearest"):
        other = mirnet.mirnet(8, 1, 1, block=NOTEBOOK.changed_blocks(mirnet)[name])
        other.set_weights(tiny.get_weights())
        assert np.abs(other.predict_on_batch(low) - before).max() > 1e-4, name


def test_the_yardstick_takes_any_size_and_starts_near_the_photo(mirnet):
    yardstick = NOTEBOOK.residual_unet(mirnet, 8)
    low = np.random.default_rng(0).random((1, 12, 20, 3)).astype("float32")
    assert yardstick.predict_on_batch(low).shape == low.shape
    yardstick.weights[-1].assign(np.zeros(yardstick.weights[-1].shape))
    np.testing.assert_array_equal(yardstick.predict_on_batch(low), low)


def test_the_record_of_the_ablations_was_measured_alike():
    ablations = results.load_records("mirnet_rivals")
    names = {"mirnet", "base", "channel_softmax", "pixel_attention", "max_and_nearest"}
    names |= {"lost_stream", "keras_io", "unet", "zero_dce", "mirnet_seed_2"}
    assert names <= set(ablations)
    trained = [record["training"] for name, record in ablations.items() if name != "zero_dce"]
    assert all(training == trained[0] for training in trained)
    assert len({tuple(r["images"]) for r in ablations.values()}) == 1
    assert all(len(r["images"]) == 40 and r["seconds"] > 0 for r in ablations.values())
