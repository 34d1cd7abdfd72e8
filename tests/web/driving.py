"""Serve a notebook with Voila or JupyterLab and drive its widgets in Chromium; no test in here."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from lle_utils.notebook_tools import cells, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BROWSER_TEST = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
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
# Seconds after which something hangs: a notebook that trains under Voila, and one picture.
READY, REDRAWN = 900, 180

# What `image_slider` shows.
BOX = ".widget-vbox:has(> img.lle-image):has(.noUi-handle)"

# The bytes that an <img> shows, whether they come from a blob, a data URI or the server.
BYTES = """async image => {
    const blob = await (await fetch(image.src)).blob();
    const reader = new FileReader();
    const loaded = new Promise(resolve => { reader.onload = resolve; });
    reader.readAsDataURL(blob);
    await loaded;
    return reader.result.split(",")[1];
}"""


@contextmanager
def chromium() -> Iterator:
    """Yield a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def voila(name: str, folder: Path, until: str = "") -> Iterator[str]:
    """Serve a notebook, see `prepared`, and yield its address."""
    notebook = prepared(name, folder, until)
    with served(["voila", str(notebook), LEFT_OUT, "--Voila.ip=127.0.0.1"], folder) as address:
        yield address


@contextmanager
def jupyterlab(name: str, folder: Path) -> Iterator[str]:
    """Serve a notebook in the quick profile with JupyterLab and yield its address."""
    notebook = prepared(name, folder)
    settings = {
        # By default only the cells in view are in the page.
        "notebook-extension/tracker": {"windowingMode": "none"},
        # A question whether to fetch news would lie over the page.
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in settings.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    command = ["jupyterlab", "--allow-root", "--IdentityProvider.token=", "--ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={folder}"]
    variables = {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    with served(command, folder, **variables) as address:
        yield f"{address}lab/tree/{notebook.name}"


@contextmanager
def served(command: list[str], folder: Path, **variables: str) -> Iterator[str]:
    """Run ``python -m`` a server on a free port; its output goes to ``server.log``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | variables
    environment.pop("MPLBACKEND", None)
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, "--no-browser", f"--port={port}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            wait_for_server(port, server, folder / "server.log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(timeout=REDRAWN)


def prepared(name: str, folder: Path, until: str = "") -> Path:
    """Write the notebook with the parameters of the quick profile, without running it.

    It ends with the first cell that holds ``until``, if that is given.
    """
    import papermill

    source = cells.source_path(name).with_suffix(".ipynb")
    parameters = run.load_profile("quick")[name] | {"output_dir": str(folder)}
    target = folder / source.name
    notebook = papermill.execute_notebook(
        str(source), str(target), parameters, prepare_only=True, progress_bar=False
    )
    if until:
        last = next(i for i, cell in enumerate(notebook.cells) if until in cell.source)
        notebook.cells = notebook.cells[: last + 1]
        nbformat.write(notebook, target)
    return target


def wait_for_server(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"The server did not start:\n{log.read_text()}")


def new_page(browser, address: str, complaints: list[str]):
    """Open an empty page, cut off from every other host, that collects errors."""
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    host = "/".join(address.split("/")[:3]) + "/"
    # Templates ask for fonts and the like elsewhere; an empty answer stands for no network.
    page.route(lambda url: not url.startswith(host), lambda route: route.fulfill(body=""))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    return page


def open_page(browser, address: str, complaints: list[str]):
    """Open a notebook in Voila and wait for its first picture."""
    page = new_page(browser, address, complaints)
    page.goto(address, timeout=READY * 1000, wait_until="commit")
    page.locator("img.lle-image").first.wait_for(timeout=READY * 1000)
    page.wait_for_load_state("load")
    return page


def shown(image) -> bytes:
    return b64decode(image.evaluate(BYTES))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def choose_file(page, path) -> None:
    """Press the upload button and hand over a file."""
    with page.expect_file_chooser() as chooser:
        page.locator(".widget-upload").click()
    chooser.value.set_files(path)


def as_large_as(default: bytes) -> Callable[[bytes], bool]:
    """Return a test for a full picture, not a preview, that differs from the default."""
    return lambda now: now != default and pixels(now).shape == pixels(default).shape


def move_there_and_back(page, box, slider) -> None:
    """Drag a slider to its far end, where the picture must be another, and back."""
    image = box.locator("img.lle-image")
    default, width = shown(image), image.bounding_box()["width"]
    start, _ = handle_center(slider)
    drag(page, slider, far_end(slider))
    moved = wait_until(image, as_large_as(default), "did not change")
    assert np.abs(pixels(moved) - pixels(default)).mean() > 0.1
    assert image.bounding_box()["width"] == width
    drag(page, slider, start)
    wait_until(image, lambda now: now == default, "did not come back")


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
    raise AssertionError(f"The picture {what} within {REDRAWN:.0f} s of moving the slider.")
