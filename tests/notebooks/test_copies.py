"""The slips of 14_copies: each check catches the copied form and passes the mended one."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from lle_utils.evaluation import records as results
from lle_utils.metrics.pixelwise import psnr_float
from lle_utils.nn import zero_reference_losses
from lle_utils.nn.layers import BlurPool, UpsampleBilinear
from lle_utils.notebook_tools.cells import read_cells, source_path
from lle_utils.notebook_tools.importer import definitions

NOTEBOOK = definitions("14_copies")
SPECIAL = {"cast": ("copied_cast", "mended_cast"), "rounding": ("clipped_cast", "mended_cast")}
SLIPS = [name.removeprefix("check_") for name in vars(NOTEBOOK) if name.startswith("check_")]


@pytest.fixture(scope="module")
def mirnet():
    return definitions("04_mirnet")


@pytest.fixture(scope="module")
def tiny(mirnet):
    keras.utils.set_random_seed(0)
    return mirnet.mirnet(8, 1, 1)


def forms(slip):
    names = SPECIAL.get(slip, (f"copied_{slip}", f"mended_{slip}"))
    return [getattr(NOTEBOOK, name) for name in names]


@pytest.mark.parametrize("slip", SLIPS)
def test_the_check_catches_the_copy_and_passes_what_is_mended(slip):
    keras.utils.set_random_seed(0)
    check, (copied, mended) = getattr(NOTEBOOK, f"check_{slip}"), forms(slip)
    assert not check(copied)
    assert check(mended)


def test_every_slip_has_a_check_and_is_examined():
    copied = {name for name in vars(NOTEBOOK) if name.startswith("copied_")}
    assert copied <= {forms(slip)[0].__name__ for slip in SLIPS}
    assert len(SLIPS) >= 20
    path = source_path("14_copies")
    cells = read_cells(path, path.read_text(encoding="utf-8"))
    calls = " ".join(c.source for c in cells if c.kind == "code" and "findings.append(" in c.source)
    assert [slip for slip in SLIPS if f"check_{slip}," not in calls] == []
    assert calls.count("findings.append(") == len(SLIPS)


def test_a_check_is_a_question_in_one_sentence():
    for slip in SLIPS:
        question = inspect.getdoc(getattr(NOTEBOOK, f"check_{slip}"))
        assert question.count(".") - question.count("0.1") == 1, slip  # it stands in a table
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
    for split in forms("split"):
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
