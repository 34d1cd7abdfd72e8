"""What the app makes of a photo on the device is what the command makes of it."""

import json

import numpy as np
import pytest
from device_app import (
    ISOLATED,
    choose,
    chromium_with_camera,
    downloaded,
    fetch_or_skip,
    hosted,
    opened,
    small_pieces,
)
from driving import BROWSER_TEST
from PIL import Image

from lle_utils.data import synthetic
from lle_utils.enhancers.factory import load_method
from lle_utils.enhancers.storage import list_enhancers, load_enhancer_card
from lle_utils.serving import site

pytest.importorskip("playwright.sync_api")
pytestmark = BROWSER_TEST

ODD, LARGE = (101, 143), (401, 703)  # heights and widths
PIECE = 2**17  # pixels: the large photo takes several


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app") / "site"
    site.write_site(folder, fetch_or_skip())
    small_pieces(folder, PIECE)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with hosted(folder, ISOLATED) as server, chromium_with_camera() as browser:
        complaints = []
        # Without the service worker, which refuses a changed file; the host isolates the page.
        context = browser.new_context(service_workers="block")
        page = opened(context, server.address, complaints, kept=False)
        assert page.evaluate("crossOriginIsolated")
        yield page
        assert complaints == []


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("photos"), {}
    for name, size in (("odd", ODD), ("large", LARGE)):
        pixels = synthetic.synthetic_pairs(1, size, 0).low[0]
        Image.fromarray(pixels).save(folder / f"{name}.png")
        found[name] = folder / f"{name}.png", pixels
    gray = np.repeat(found["odd"][1][..., :1], 3, axis=-1)
    Image.fromarray(gray).save(folder / "gray.png")
    return found | {"gray": (folder / "gray.png", gray)}


def largest_difference(page, photo, method, level=None, memory=None):
    path, pixels = photo
    assert choose(page, path, method, level).endswith("pixels")
    words = {} if memory is None else {"memory": memory}
    expected = load_method(method)(pixels, level, **words)
    result = downloaded(page)
    assert result.shape == expected.shape
    assert np.abs(expected.astype(int) - pixels).mean() > 3  # the method does something
    return np.abs(result.astype(int) - expected).max()


@pytest.mark.parametrize("method", list_enhancers())
def test_a_photo_with_odd_sides(page, photos, method):
    assert largest_difference(page, photos["odd"], method) <= 1
    assert largest_difference(page, photos["odd"], method, level=0.3) <= 1


@pytest.mark.parametrize("method", ["zero_dce_pp", "lumen_tiny"])
def test_a_photo_without_colour_stays_so(page, photos, method):
    assert largest_difference(page, photos["gray"], method) <= 1


LOCAL = [name for name in list_enhancers() if load_enhancer_card(name)["halo"] is not None]


@pytest.mark.parametrize("method", LOCAL)
def test_tiles_of_networks_that_see_a_few_pixels(page, photos, method):
    assert largest_difference(page, photos["large"], method) <= 1


@pytest.mark.parametrize("method", [name for name in list_enhancers() if name not in LOCAL])
def test_tiles_of_networks_that_see_the_whole_photo(page, photos, folder, method):
    told = json.loads((folder / "methods.json").read_text(encoding="utf-8"))
    rules = told["rules"]
    entry = next(entry for entry in told["methods"] if entry["name"] == method)
    per_pixel = entry["bytesPerPixel"] * rules["memorySafetyFactor"] + 12
    # The photo needs more than this, and what it is reduced to less.
    memory = int(rules["heldBytes"] + 266_000 * per_pixel)
    changed = told | {"rules": rules | {"memoryLimit": memory}}
    page.route("**/methods.json", lambda route: route.fulfill(json=changed, headers=ISOLATED))
    page.reload()
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    assert largest_difference(page, photos["large"], method, memory=memory) <= 1
    page.unroute("**/methods.json")
