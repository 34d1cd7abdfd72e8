"""The sliders in a real browser: Voila serves the notebook, Chromium moves the handle."""

from collections.abc import Iterator

import pytest
from driving import (
    BOX,
    BROWSER_TEST,
    chromium,
    move_there_and_back,
    open_page,
    shown,
    voila,
)

pytest.importorskip("playwright.sync_api")

pytestmark = BROWSER_TEST


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(request, tmp_path) -> Iterator[str]:
    with voila(request.param, tmp_path, until="display.static(") as address:
        yield address


@pytest.mark.parametrize(
    "address",
    [
        "00_start_here",
        "03_zero_dce",
        "04_mirnet",
        "05_pix2pix",
        "06_resnet_gan",
        "09_deploy",
        "10_raw",
        "11_exposures",
        "12_lumen",
        "13_retinex",
        "15_runtimes",
    ],
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
        move_there_and_back(page, box, slider)
    assert box.locator(".lle-message").inner_text().strip() == ""
    assert not complaints, "\n".join(complaints)
    page.close()
