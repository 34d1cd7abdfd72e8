"""The sliders in a real browser: Voila serves the notebook, Chromium moves the handle."""

from collections.abc import Iterator

import numpy as np
import pytest
from driving import (
    BOX,
    CHROMIUM,
    chromium,
    drag,
    far_end,
    handle_center,
    open_page,
    pixels,
    shown,
    voila,
    wait_until,
)

pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(request, tmp_path) -> Iterator[str]:
    with voila(request.param, tmp_path) as address:
        yield address


@pytest.mark.parametrize(
    "address",
    ["00_start_here", "03_zero_dce", "04_mirnet", "05_pix2pix", "09_deploy"],
    indirect=True,
)
def test_moving_the_slider_changes_the_picture_and_the_static_figure_shows_its_default(
    browser, address
):
    complaints: list[str] = []
    page = open_page(browser, address, complaints)
    box = page.locator(BOX).first
    image = box.locator("img.lle-image")
    default = shown(image)
    figures = page.locator('img[src^="data:image/png"]').all()
    assert default in [shown(figure) for figure in figures], "no static figure is the default"

    for slider in box.locator(".widget-slider").all():
        start, _ = handle_center(slider)
        drag(page, slider, far_end(slider))
        moved = wait_until(image, lambda now: now != default, "did not change")
        assert np.abs(pixels(moved) - pixels(default)).mean() > 0.1
        drag(page, slider, start)
        wait_until(image, lambda now: now == default, "did not come back")
    assert box.locator(".lle-message").inner_text().strip() == ""
    assert not complaints, "\n".join(complaints)
    page.close()
