"""Measure in Chromium how fast the controls of notebook 08 answer, and write the record.

Run it on a quiet machine: ``python tests/web/measure_latency.py``.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from driving import BOX, READY, chromium, far_end, handle_center, open_page, voila

from lle_utils.benchmarks.speed import machine
from lle_utils.core.paths import data_dir, write_json

MOVES = 11  # of each control, from rest; the first is a warm-up and not counted
PANELS = ("all at once", "before and after", "difference", "curves", "level")
NETWORK = {"level"}  # panels in which a network must run again
PROTOCOL = (
    "Voila and headless Chromium on the same machine, the sample of 600×400; medians of "
    f"{MOVES - 1} moves from rest, in milliseconds from the input event to the frame after the "
    "changed picture has loaded."
)

# Note when the user acted, and each frame in which another picture has been painted.
WATCH = """image => {
    window.seen = []; window.acted = null;
    const act = event => { window.acted ??= performance.now(); };
    for (const kind of ["pointermove", "mousemove", "change"])
        document.addEventListener(kind, act, {capture: true});
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", {willReadFrequently: true});
    canvas.width = 300; canvas.height = 200;
    const pixels = () => {
        context.drawImage(image, 0, 0, 300, 200);
        return context.getImageData(0, 0, 300, 200).data.join();
    };
    let last = pixels(), width = image.naturalWidth;
    image.addEventListener("load", () => requestAnimationFrame(() => {
        const now = performance.now(), fresh = pixels();
        // In whole enlarged pixels a preview may look as its full picture does.
        if (fresh !== last || image.naturalWidth !== width)
            window.seen.push([now, image.naturalWidth]);
        last = fresh; width = image.naturalWidth;
    }));
}"""
START = "() => { window.seen = []; window.acted = null; }"
# The preview has come, and then the full picture.
DONE = "width => window.acted && window.seen.length && window.seen.at(-1)[1] == width"
READ = "() => window.seen.map(([time, width]) => [time - window.acted, width])"


def measure(page, image, act) -> tuple[float, float]:
    """Act once; return milliseconds until the first and until the full picture."""
    full = image.evaluate("image => image.naturalWidth")
    page.evaluate(START)
    act()
    page.wait_for_function(DONE, arg=full, timeout=30_000)
    seen = page.evaluate(READ)
    page.wait_for_timeout(200)  # at rest again
    return seen[0][0], next(time for time, width in seen if width == full)


def slider_moves(page, slider):
    """Yield functions that move a handle, held down, between both halves of its bar."""
    start, height = handle_center(slider)
    end = far_end(slider)
    page.mouse.move(start, height)
    page.mouse.down()
    for number in range(MOVES):
        share = 0.9 - 0.8 * (number % 2) + 0.005 * number
        yield lambda share=share: page.mouse.move(start + share * (end - start), height)
    page.mouse.up()


def menu_moves(menu):
    """Yield functions that choose one option after another."""
    options = menu.locator("option").all_inner_texts()
    first = options.index(menu.evaluate("m => m.selectedOptions[0].textContent"))
    for number in range(1, MOVES + 1):
        choice = options[(first + number) % len(options)]
        yield lambda choice=choice: menu.select_option(choice)


def measure_control(page, image, panel: str, control: str, moves) -> dict:
    """Measure one control; print and return its row."""
    times = [measure(page, image, act) for act in moves][1:]
    previews, fulls = zip(*times, strict=True)
    row = {
        "panel": panel,
        "control": control,
        "network": panel in NETWORK,
        "preview": statistics.median(previews),
        "preview_slowest": max(previews),
        "full": statistics.median(fulls),
        "moves": len(times),
    }
    numbers = f"{row['preview']:.0f} ms, slowest {row['preview_slowest']:.0f}, "
    print(f"{panel:18}{control:16}{numbers}full {row['full']:.0f}", flush=True)
    return row


def measure_all(page) -> list[dict]:
    """Measure every slider and menu of every panel."""
    rows = []
    for panel, box in zip(PANELS, page.locator(BOX).all(), strict=False):
        image = box.locator("img.lle-image")
        image.evaluate(WATCH)
        for menu in box.locator(".widget-dropdown").all():
            label = menu.locator("label").inner_text()
            rows.append(
                measure_control(page, image, panel, label, menu_moves(menu.locator("select")))
            )
        for slider in box.locator(".widget-slider").all():
            label = slider.locator("label").inner_text()
            rows.append(measure_control(page, image, panel, label, slider_moves(page, slider)))
    return rows


def main(target: Path) -> None:
    """Measure and write the record."""
    here = machine()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        complaints: list[str] = []
        with voila("08_compare", Path(folder)) as address:
            page = open_page(browser, address, complaints)
            page.get_by_text("Choose a photo").first.wait_for(timeout=READY * 1000)
            page.wait_for_timeout(2000)
            rows = measure_all(page)
            page.close()
    if complaints:
        raise SystemExit("\n".join(complaints))
    protocol = f"{PROTOCOL} {here['processor']}, {here['cores']} cores."
    record = {"kind": "latency", "schema": 1, "machine": here, "protocol": protocol}
    record["controls"] = rows
    print(f"Record: {write_json(target, record)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else data_dir() / "results" / "latency.json")
