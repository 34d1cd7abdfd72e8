"""What notebook 15 computes: int8 that depends on its calibration."""

import pytest

from lle_utils.core import images
from lle_utils.data import synthetic
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.metrics.pixelwise import psnr
from lle_utils.notebook_tools.importer import definitions


@pytest.fixture(scope="module")
def notebook():
    return definitions("15_runtimes")


@pytest.fixture(scope="module")
def low():
    normal = synthetic.synthetic_pairs(1, (200, 330), 3, synthetic.VAL_SCENES).normal[0]
    camera = synthetic.Camera(exposure=0.08, illumination=0.4, photons=4000)
    return synthetic.darken(images.to_float(normal), 0, camera)


def test_int8_must_be_calibrated_on_what_the_network_will_see(notebook, tmp_path, low):
    pytest.importorskip("ai_edge_litert", reason="pip install 'lle-utils[export]'")
    notebook.__dict__.update(fast=load_enhancer("zero_dce_pp"), target_folder=tmp_path)
    dark = images.to_float(synthetic.synthetic_pairs(4, (240, 360), 0, synthetic.TRAIN_SCENES).low)
    expected = notebook.fast.enhance(low)
    crops, whole = (
        psnr(notebook.int8_maps(name, photos).enhance(low), expected)
        for name, photos in {"crops": dark[:, :120, :120], "whole": dark}.items()
    )
    assert whole > 30
    assert whole > crops + 6
