"""Notebook 08 in JupyterLab: run all cells, move a slider of every panel, take a photo."""

import re
from collections.abc import Iterator

import pytest
from driving import (
    BOX,
    BROWSER_TEST,
    READY,
    REDRAWN,
    choose_file,
    chromium,
    jupyterlab,
    move_there_and_back,
    new_page,
    pixels,
    wait_until,
)

from lle_utils.core import images
from lle_utils.data import synthetic

pytest.importorskip("playwright.sync_api")
pytest.importorskip("jupyterlab", reason="pip install 'lle-utils[lab]'")

pytestmark = BROWSER_TEST


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return []


@pytest.fixture(scope="module")
def page(complaints, tmp_path_factory) -> Iterator:
    folder = tmp_path_factory.mktemp("lab")
    with chromium() as browser, jupyterlab("08_compare", folder) as address:
        page = new_page(browser, address, complaints)
        page.goto(address, timeout=READY * 1000, wait_until="commit")
        page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(
            timeout=READY * 1000
        )
        run_all(page)
        # While cells run the kernel does not listen to sliders; the last one gets its number.
        last = page.locator(".jp-CodeCell").last.locator(".jp-InputPrompt")
        page.wait_for_function(
            "prompt => /\\[\\d+\\]/.test(prompt.textContent)",
            arg=last.element_handle(),
            timeout=READY * 1000,
        )
        yield page
        page.close()


def run_all(page) -> None:
    """Run all cells; what comes in the first idle seconds of a kernel may be dropped."""
    page.wait_for_timeout(10_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    begun = page.locator(".jp-InputArea-prompt", has_text=re.compile(r"\[(\*|\d+)\]"))
    begun.first.wait_for(timeout=REDRAWN * 1000)


def test_sliders_of_every_panel_change_the_picture(page, complaints):
    boxes = page.locator(BOX)
    assert boxes.count() >= 4
    for box in boxes.all():
        slider = box.locator(".widget-slider").last
        slider.evaluate("bar => bar.scrollIntoView({block: 'center'})")
        move_there_and_back(page, box, slider)
        assert box.locator(".lle-message").inner_text().strip() == ""
    assert not complaints, "\n".join(complaints)


def test_a_photo_can_be_taken(page, complaints, tmp_path):
    photo = synthetic.synthetic_pairs(1, (120, 200), 5, ("chelsea",)).low[0]
    wipe = page.locator(BOX).nth(1).locator("img.lle-image")
    choose_file(page, images.save_image(tmp_path / "own.png", photo))
    page.locator(".widget-vbox:has(> .widget-upload) img.lle-image").wait_for(
        timeout=REDRAWN * 1000
    )
    wait_until(wipe, lambda now: pixels(now).shape[:2] == (120, 200), "is not of the photo's size")
    assert not complaints, "\n".join(complaints)
