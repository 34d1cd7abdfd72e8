"""The app on the device in a browser: offline, alone, with a camera, with bad files, for long."""

import io
import json
import struct
import zlib

import numpy as np
import psutil
import pytest
from device_app import (
    DONE,
    choose,
    chromium_with_camera,
    downloaded,
    fetch_or_skip,
    hosted,
    opened,
)
from driving import BROWSER_TEST
from PIL import Image

from lle_utils.data import synthetic
from lle_utils.serving import site

pytest.importorskip("playwright.sync_api")
pytestmark = BROWSER_TEST

METHOD = "zero_dce_pp"
DROP = """([files, type]) => {
    const data = new DataTransfer();
    for (const [name, bytes] of files) {
        const content = Uint8Array.from(atob(bytes), c => c.charCodeAt(0));
        data.items.add(new File([content], name, {type}));
    }
    document.dispatchEvent(new DragEvent("drop", {bubbles: true, dataTransfer: data}));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app") / "site"
    site.write_site(folder, fetch_or_skip())
    with hosted(folder) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with chromium_with_camera() as browser:
        yield browser


@pytest.fixture(scope="module")
def low():
    return synthetic.synthetic_pairs(1, (97, 131), 0).low[0]


@pytest.fixture(scope="module")
def photo(tmp_path_factory, low):
    path = tmp_path_factory.mktemp("photo") / "night.png"
    Image.fromarray(low).save(path)
    return path


@pytest.fixture(scope="module")
def page(server, browser):
    """The app, kept on the device; whatever it complains of fails the last test."""
    complaints = []
    page = opened(browser.new_context(), server.address, complaints)
    yield page
    assert complaints == []


def test_it_works_without_network_after_the_first_visit_and_asks_no_other_host(browser, photo, low):
    folder = photo.parent / "site"
    site.write_site(folder, fetch_or_skip())
    urls = []
    context = browser.new_context()
    context.on("request", lambda request: urls.append(request.url))
    with hosted(folder) as server, hosted(photo.parent) as stranger:
        page = opened(context, server.address, [])
        assert page.evaluate("crossOriginIsolated")
        choose(page, photo, METHOD)
        online = downloaded(page)
        refused = "fetch(location.hash.slice(1)).then(() => false, () => true)"
        page.evaluate("address => { location.hash = address; }", stranger.address)
        assert page.evaluate(refused)
        assert stranger.asked == 0
        address = server.address
        outside = [url for url in urls if not url.startswith((address, "blob:"))]
        assert outside in ([], [stranger.address])  # what the policy stopped
        scope = page.evaluate("navigator.serviceWorker.ready.then(r => r.scope)")
        assert scope == address
    page.close()
    page = opened(context, address, [])  # the server is gone
    for method in (METHOD, "lumen_tiny"):
        choose(page, photo, method)
        result = downloaded(page)
        assert result.shape == low.shape
        if method == METHOD:
            assert np.array_equal(result, online)
    context.close()


def test_a_turned_photo_is_shown_and_saved_upright(page, low, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(low).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    height, width = low.shape[:2]
    assert choose(page, tmp_path / "turned.jpg", METHOD) == f"turned.jpg: {height}×{width} pixels"
    assert downloaded(page).shape == (width, height, 3)
    sides = "canvas => [canvas.width, canvas.height]"
    assert page.locator("#after").evaluate(sides) == [height, width]


def shown_at(page, level):
    """Return the mean of what the camera's picture becomes at a level, some frames later."""
    page.locator("#level").fill(str(level))
    page.locator("#level").dispatch_event("input")
    frames = "performance.getEntriesByName('frame').length"
    seen = page.evaluate(frames)
    while page.evaluate(frames) < seen + 4:
        page.wait_for_timeout(100)
    return page.locator("#after").evaluate("""canvas => {
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value) => sum + value, 0) / data.length;  // with alpha
    }""")


def test_the_camera_runs_changes_with_the_level_and_takes_a_photo(page):
    page.click("#camera")
    page.locator("#status", has_text="The camera is on.").wait_for()
    assert shown_at(page, 0.1) < shown_at(page, 0.7) - 20
    assert max(page.locator("#before").evaluate("c => [c.width, c.height]")) == 640
    page.locator("#shoot").click()
    page.locator(DONE).wait_for(state="attached")
    assert page.inner_text("#status").endswith("pixels")
    assert page.locator("#camera").get_attribute("aria-pressed") == "false"
    page.locator("#auto").check()


def test_keys_alone_choose_wipe_and_save(page, photo):
    choose(page, photo, METHOD)
    page.locator("#wipe").focus()
    for key in ("Home", "ArrowRight"):
        page.keyboard.press(key)
    assert (
        page.locator("#after").evaluate("c => c.style.clipPath").startswith("inset(0px 0px 0px 0")
    )
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:4] == ["method", "level", "auto", "download"]
    page.locator("#download").focus()
    with page.expect_download() as caught:
        page.keyboard.press("Enter")
    assert caught.value.suggested_filename == "night_enhanced.png"
    assert page.locator("#status").get_attribute("aria-live") == "polite"


def malformed(low, folder):
    """Yield names and contents of files that are no photos, in many ways, always the same."""
    rng = np.random.default_rng(0)
    for kind in ("png", "jpg", "webp", "bmp"):
        path = folder / f"good.{kind}"
        Image.fromarray(low).save(path)
        good = path.read_bytes()
        for i, share in enumerate(np.linspace(0, 0.97, 25)):  # cut off, from nothing on
            yield f"cut{i}.{kind}", good[: int(share * len(good))]
        for size in (16, 200, 3000, 50_000):  # the signature, then noise
            yield f"noise{size}.{kind}", good[:12] + rng.bytes(size)
    for i in range(40):
        yield f"random{i}.jpg", rng.bytes(1 + i**2)
    kinds = {"gif": b"GIF89a", "tif": b"II*\0", "pdf": b"%PDF-1.7\n", "zip": b"PK\3\4"}
    kinds |= {"html": b"<html><script>", "svg": b"<svg xmlns='x'/>", "elf": b"\x7fELF"}
    kinds |= {"mp4": b"\0\0\0\x18ftypmp42", "txt": b"hello", "heic": b"\0\0\0\x18ftypheic"}
    for name, start in kinds.items():
        for size in (0, 100, 5000):
            yield f"{name}{size}.jpg", start + bytes(size)
    for side in (8_000, 20_000, 60_000, 2**31 - 1):
        for width, height in ((side, side), (side, 7_000), (7_500, side)):
            yield f"bomb{width}x{height}.png", bomb(width, height)


def bomb(width, height):
    """Return a tiny PNG that says that it is large."""

    def chunk(name, data):
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    )


def test_each_malformed_file_gets_a_message_that_names_it(page, low, photo, tmp_path):
    from base64 import b64encode

    files = list(malformed(low, tmp_path))
    assert len(files) >= 190
    said = {}
    for name, content in files:
        page.evaluate(DROP, [[[name, b64encode(content).decode()]], "image/jpeg"])
        page.locator("#status.bad", has_text=name).wait_for()
        said[name] = page.inner_text("#status").removeprefix(name).strip()
    assert all(text.count(" ") >= 3 and text.endswith((".", "done.")) for text in said.values()), (
        said
    )
    assert "0 bytes" in said["cut0.png"]
    assert "megapixels" in said["bomb60000x60000.png"]
    assert "GIF" in said["gif100.jpg"]
    assert len(set(said.values())) >= 8
    assert choose(page, photo).endswith("pixels")  # and it goes on working


def test_memory_is_level_over_many_photos(page, photo, browser):
    def held():
        page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
        own = psutil.Process().children(recursive=True)
        return sum(p.memory_info().rss for p in own if "renderer" in " ".join(p.cmdline()))

    after = []
    for _ in range(4):
        for _ in range(10):
            choose(page, photo, METHOD)
            downloaded(page)
        after.append(held())
    assert after[-1] < 1.15 * after[1], json.dumps(after)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_nothing_sticks_out_and_colours_follow_the_system(server, browser, photo, size, scheme):
    context = browser.new_context(
        viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme
    )
    page = opened(context, server.address, [], kept=False)
    choose(page, photo, METHOD)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    corner = page.screenshot(clip={"x": 0, "y": 0, "width": 4, "height": 4})
    ground = np.array(Image.open(io.BytesIO(corner)).convert("RGB")).mean()
    assert ground > 200 if scheme == "light" else ground < 60
    button = page.locator("#download").bounding_box()
    assert button["height"] >= 44
    context.close()
