"""Measure in Chromium how many frames of a camera the app brightens in a second; write the record.

Run it on a quiet machine: ``python tests/web/measure_camera.py``.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from device_app import chromium_with_camera, hosted, opened

from lle_utils.benchmarks.speed import machine
from lle_utils.core.paths import data_dir, write_json
from lle_utils.serving.site import write_site
from lle_utils.serving.web_runtime import fetch_runtime

WIDTH, HEIGHT, RATE, FRAMES = 640, 480, 30, 60  # of the camera's film
METHODS = ("zero_dce_pp", "lumen_tiny")
SECONDS, WARM_UP = 10, 3
PROTOCOL = (
    f"A fake camera of {WIDTH}×{HEIGHT} at {RATE} frames a second in headless Chromium, isolated; "
    f"results painted in {SECONDS} s after {WARM_UP} s to warm up."
)


def write_film(path: Path) -> None:
    """Write a dark film in which a gradient moves, as YUV4MPEG2, which Chromium plays."""
    ramp = np.linspace(16, 90, WIDTH).astype(np.uint8)
    colour = np.full(HEIGHT * WIDTH // 2, 128, np.uint8).tobytes()
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(FRAMES):
            light = np.tile(np.roll(ramp, 10 * number), (HEIGHT, 1))
            file.write(b"FRAME\n" + light.tobytes() + colour)


def measure(page, method: str) -> dict:
    """Run the camera with a method; return and print its row."""
    page.click("#camera")
    page.locator("#status", has_text="The camera is on.").wait_for()
    page.select_option("#method", method)
    page.wait_for_timeout(1000 * WARM_UP)
    page.evaluate("performance.clearMarks()")
    page.wait_for_timeout(1000 * SECONDS)
    frames = page.evaluate("performance.getEntriesByName('frame').length")
    size = page.locator("#before").evaluate("canvas => [canvas.width, canvas.height]")
    page.click("#camera")
    row = {"method": method, "size": size, "frames_per_second": frames / SECONDS}
    print(row, flush=True)
    return row


def main(target: Path) -> None:
    """Measure and write the record."""
    here = machine()
    with tempfile.TemporaryDirectory() as folder:
        film, site = Path(folder) / "film.y4m", Path(folder) / "site"
        write_film(film)
        write_site(site, fetch_runtime())
        flag = f"--use-file-for-fake-video-capture={film}"
        with hosted(site) as server, chromium_with_camera(flag) as browser:
            page = opened(browser.new_context(), server.address, [])
            runtime = page.inner_text("#runtime")
            rows = [measure(page, method) for method in METHODS]
    record = {"kind": "camera", "schema": 1, "machine": here, "protocol": PROTOCOL}
    print(f"Record: {write_json(target, record | {'runtime': runtime, 'camera': rows})}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else data_dir() / "results" / "camera.json")
