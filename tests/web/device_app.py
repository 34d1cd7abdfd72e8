"""Build the app for the device, serve it like a static host, and drive it; no test in here."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from driving import CHROMIUM, FLAGS
from PIL import Image

from lle_utils.serving import site, web_runtime

CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PATIENCE = 180_000  # milliseconds after which something hangs
ISOLATED = {  # as DEPLOY.md says for servers of one's own
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
DONE = '#status.bad, #status:text-matches("pixels$")'


def fetch_or_skip() -> dict[str, bytes]:
    """Return the runtime; skip the test where npm or the network is missing."""
    try:
        return web_runtime.fetch_runtime()
    except web_runtime.RuntimeFetchError as error:
        pytest.skip(f"the app needs onnxruntime-web: {error}")


@contextmanager
def hosted(folder: Path, headers: dict | None = None) -> Iterator:
    """Serve a folder; yield the server: its ``address``, and how often it was ``asked``."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            self.server.asked += 1

        def end_headers(self):
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked, server.address = 0, f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def chromium_with_camera(*more: str) -> Iterator:
    """Yield a browser that has a camera, which shows a moving disc."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [*FLAGS, *CAMERA, *more]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def opened(context, address: str, complaints: list[str], kept: bool = True):
    """Open the app and wait until it is ready, and kept on the device."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(address)
    page.locator("html[data-isolated=yes]").wait_for(state="attached")
    state = "html[data-kept=all]" if kept else "html[data-ready=yes]"
    page.locator(state).wait_for(state="attached")
    return page


def choose(page, path: Path, method: str | None = None, level: float | None = None) -> str:
    """Choose method, level and a photo; return what is said when its preview is there."""
    page.locator("#status").evaluate("status => { status.textContent = ''; }")
    if method:
        page.locator("#method").evaluate("(menu, name) => { menu.value = name; }", method)
    page.locator("#auto").evaluate("(box, on) => { box.checked = on; }", level is None)
    if level is not None:
        page.locator("#level").evaluate("(slider, value) => { slider.value = value; }", level)
    page.set_input_files("#file", path)
    page.locator(DONE).wait_for(state="attached")
    return page.inner_text("#status")


def downloaded(page) -> np.ndarray:
    """Download the result at full size; return its pixels."""
    with page.expect_download() as caught:
        page.click("#download")
    with Image.open(caught.value.path()) as picture:
        return np.array(picture.convert("RGB"))


def small_pieces(folder: Path, pixels: int) -> None:
    """Have networks that see a few pixels work on smaller pieces, so that more tiles meet."""
    path = folder / "methods.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(str(site.LARGEST_PIECE), str(pixels)), encoding="utf-8")
