"""Notebook 08 in a real browser: every slider, the menus, an upload."""

from collections.abc import Iterator

import pytest
from driving import (
    BOX,
    BROWSER_TEST,
    READY,
    REDRAWN,
    as_large_as,
    choose_file,
    chromium,
    move_there_and_back,
    open_page,
    pixels,
    shown,
    voila,
    wait_until,
)

from lle_utils.core import images
from lle_utils.data import synthetic
from lle_utils.enhancers import storage

pytest.importorskip("playwright.sync_api")

pytestmark = BROWSER_TEST
PANELS = 5 if "shed_light" in storage.list_enhancers() else 4


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return []


@pytest.fixture(scope="module")
def page(browser, complaints, tmp_path_factory) -> Iterator:
    with voila("08_compare", tmp_path_factory.mktemp("voila")) as address:
        page = open_page(browser, address, complaints)
        page.get_by_text("Choose a photo").first.wait_for(timeout=READY * 1000)
        yield page
        page.close()


@pytest.mark.parametrize("number", range(PANELS))
def test_every_slider_changes_its_picture_and_the_static_figure_shows_its_default(
    page, complaints, number
):
    assert page.locator(BOX).count() == PANELS
    box = page.locator(BOX).nth(number)
    image = box.locator("img.lle-image")
    default = shown(image)
    figures = page.locator('img[src^="data:image/png"]').all()
    assert default in [shown(figure) for figure in figures], "no static figure is the default"
    for slider in box.locator(".widget-slider").all():
        move_there_and_back(page, box, slider)
    assert box.locator(".lle-message").inner_text().strip() == ""
    assert not complaints, "\n".join(complaints)


def test_every_menu_changes_its_picture(page, complaints):
    for box in page.locator(BOX).all():
        image = box.locator("img.lle-image")
        for menu in box.locator("select").all():
            before, chosen = shown(image), menu.input_value()
            other = next(o for o in menu.locator("option").all_inner_texts() if o != chosen)
            menu.select_option(other)
            wait_until(image, as_large_as(before), f"did not change with {other}")
    assert not complaints, "\n".join(complaints)


def test_an_uploaded_photo_reaches_every_panel(page, complaints, tmp_path):
    photo = synthetic.synthetic_pairs(1, (120, 200), 5, ("chelsea",)).low[0]
    path = images.save_image(tmp_path / "own.png", photo)
    before = [shown(box.locator("img.lle-image")) for box in page.locator(BOX).all()]
    upload = page.locator(".widget-vbox:has(> .widget-upload)")
    choose_file(page, path)
    upload.locator("img.lle-image").wait_for(timeout=REDRAWN * 1000)
    for box, old in zip(page.locator(BOX).all(), before, strict=True):
        image = box.locator("img.lle-image")
        wait_until(image, lambda now, old=old: now != old, "did not show the photo")
    wipe = page.locator(BOX).nth(1).locator("img.lle-image")
    wait_until(wipe, lambda now: pixels(now).shape[:2] == (120, 200), "is not of the photo's size")
    assert upload.locator(".lle-message").inner_text().strip() == ""
    assert not complaints, "\n".join(complaints)


def test_an_upload_that_is_no_photo_says_so(page, complaints, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    choose_file(page, path)
    message = page.locator(".widget-vbox:has(> .widget-upload) .lle-message")
    message.get_by_text("notes.txt").wait_for(timeout=REDRAWN * 1000)
    assert not complaints, "\n".join(complaints)
