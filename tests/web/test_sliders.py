"""The sliders in a real browser: Voila serves the notebook, Chromium moves the handle."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lle_utils import notebooks

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Jupytext's extension is made for JupyterLab alone and raises an error in Voila.
LEFT_OUT = "--VoilaConfiguration.extension_denylist=jupyterlab-jupytext"
# Seconds on two quiet cores, for a notebook that trains under Voila and for one picture.
SLOWER = float(os.environ.get("LLE_TIME_FACTOR", "1"))
READY, REDRAWN = 240 * SLOWER, 30 * SLOWER

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

# The bytes that an <img> shows, whether they come from a blob, a data URI or the server.
BYTES = """async image => {
    const blob = await (await fetch(image.src)).blob();
    const reader = new FileReader();
    const loaded = new Promise(resolve => { reader.onload = resolve; });
    reader.readAsDataURL(blob);
    await loaded;
    return reader.result.split(",")[1];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(request, tmp_path) -> Iterator[str]:
    """Serve a notebook in the quick profile and yield its address."""
    notebook = prepared(request.param, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", LEFT_OUT]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop("MPLBACKEND", None)
    with open(tmp_path / "voila.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(notebook), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            wait_for_server(port, server, tmp_path / "voila.log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(timeout=20)


def prepared(name: str, folder: Path) -> Path:
    """Write the notebook with the parameters of the quick profile, without running it."""
    import papermill

    source = notebooks.source_path(name).with_suffix(".ipynb")
    parameters = notebooks.load_profile("quick")[name] | {"output_dir": str(folder)}
    target = folder / source.name
    papermill.execute_notebook(
        str(source), str(target), parameters, prepare_only=True, progress_bar=False
    )
    return target


def wait_for_server(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"Voila did not start:\n{log.read_text()}")


def open_page(browser, address: str, complaints: list[str]):
    """Open the notebook, cut off from every other host, and wait for its first picture."""
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    # Templates ask for fonts and the like elsewhere; an empty answer stands for no network.
    page.route(lambda url: not url.startswith(address), lambda route: route.fulfill(body=""))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(address, timeout=READY * 1000, wait_until="commit")
    page.locator("img.lle-image").first.wait_for(timeout=READY * 1000)
    page.wait_for_load_state("load")
    return page


def shown(image) -> bytes:
    return b64decode(image.evaluate(BYTES))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def handle_center(slider) -> tuple[float, float]:
    handle = slider.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def far_end(slider) -> float:
    """Return the x of whichever end of the bar is farther from the handle."""
    x, _ = handle_center(slider)
    bar = slider.locator(".noUi-target").bounding_box()
    left, right = bar["x"], bar["x"] + bar["width"]
    return left if x - left > right - x else right


def drag(page, slider, x: float) -> None:
    """Drag the handle along its bar."""
    page.mouse.move(*handle_center(slider))
    page.mouse.down()
    page.mouse.move(x, handle_center(slider)[1], steps=5)
    page.mouse.up()


def wait_until(image, accept: Callable[[bytes], bool], what: str) -> bytes:
    """Return the picture once it is acceptable."""
    deadline = time.monotonic() + REDRAWN
    while time.monotonic() < deadline:
        if accept(now := shown(image)):
            return now
        time.sleep(0.2)
    pytest.fail(f"The picture {what} within {REDRAWN:.0f} s of moving the slider.")


@pytest.mark.parametrize(
    "address", ["00_start_here", "03_zero_dce", "04_mirnet", "05_pix2pix"], indirect=True
)
def test_moving_the_slider_changes_the_picture_and_the_static_figure_shows_its_default(
    browser, address
):
    complaints: list[str] = []
    page = open_page(browser, address, complaints)
    box = page.locator(".widget-vbox:has(> img.lle-image):has(.noUi-handle)").first
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
