"""The web page as `lle serve` runs it: fuzzed, documented, loaded, and used in a browser."""

import contextlib
import http.client
import io
import json
import re
import socket
import struct
import zlib

import numpy as np
import psutil
import pytest
import requests
from driving import CHROMIUM, chromium
from PIL import Image

from lle_utils.benchmarks import load_test
from lle_utils.core import images
from lle_utils.data import synthetic
from lle_utils.enhancers.storage import load_enhancer
from lle_utils.serving import limits

pytest.importorskip("flask", reason="the web page needs flask: pip install 'lle-utils[serve]'")
pytest.importorskip("waitress", reason="the web page needs waitress")

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")


@pytest.fixture(scope="module")
def server():
    with load_test.running_server("--megapixels", "4", "--megabytes", "8") as running:
        yield running


@pytest.fixture(scope="module")
def address(server):
    return server[0]


@pytest.fixture(scope="module")
def low():
    return synthetic.synthetic_pairs(1, (75, 110), 0).low[0]


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def send(address, content, query="", kind="image/png"):
    headers = {"Content-Type": kind}
    return requests.post(f"{address}/api/enhance{query}", content, headers=headers, timeout=60)


def decoded(answer):
    assert answer.status_code == 200, answer.text
    return np.array(Image.open(io.BytesIO(answer.content)))


def test_the_answer_is_what_the_enhancer_gives(address, low):
    answer = decoded(send(address, encoded(low), "?method=zero_dce_pp&format=png"))
    expected = load_enhancer("zero_dce_pp").enhance(low)
    assert np.abs(answer.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("method", ["gamma", "zero_dce_pp"])
def test_the_level_is_the_mean_of_the_result(address, low, method):
    for level in (0.2, 0.45, 0.7):
        query = f"?method={method}&format=png&level={level}"
        result = decoded(send(address, encoded(low), query))
        assert result.mean() / 255 == pytest.approx(level, rel=0.02)
    automatic = decoded(send(address, encoded(low), f"?method={method}&format=png&level=auto"))
    usual = decoded(send(address, encoded(low), f"?method={method}&format=png"))
    assert np.array_equal(automatic, usual)


@pytest.mark.parametrize("kind", limits.readable_formats())
def test_every_format_is_read(address, low, kind):
    assert decoded(send(address, encoded(low, kind))).shape == low.shape


def check(address, content, kind="image/png"):
    headers = {"Content-Type": kind}
    return requests.post(f"{address}/api/check", content, headers=headers, timeout=60)


def refused(low):
    """Yield uploads that are refused: two frames, damaged, too large, no photo."""
    frames = [Image.fromarray(np.roll(low, shift, 1)) for shift in (0, 9)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        yield file.getvalue()
    yield encoded(low)[:-300]
    yield encoded(np.zeros((2100, 2100, 3), np.uint8))
    yield b"hello"


def test_what_would_be_refused_is_refused_by_a_check_in_the_same_words(address, low):
    words = set()
    for content in refused(low):
        early, late = check(address, content), send(address, content)
        assert early.status_code == late.status_code >= 400
        assert early.json() == late.json()
        words.add(early.json()["error"])
    assert any("holds 2 frames" in text for text in words), words
    assert len(words) >= 5
    for kind in limits.readable_formats():
        answer = check(address, encoded(low, kind))
        assert (answer.status_code, answer.content) == (204, b"")


def raw_answer(address, *parts):
    """Send bytes as they are; return status and body."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join([*parts, "", ""]).encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read()), answer.headers


def test_what_the_application_never_sees_is_refused_like_the_rest(address):
    start, host = "POST /api/enhance HTTP/1.1", "Host: x"
    kind = "Content-Type: image/png"
    large = raw_answer(address, start, host, kind, "Content-Length: 99000000")
    both = ("Content-Length: 5", "Transfer-Encoding: chunked")
    two_lengths = raw_answer(address, start, host, kind, *both)
    old = raw_answer(address, start[:-1] + "0", host, kind, *both)
    for (status, body, headers), expected in ((large, 413), (two_lengths, 400), (old, 400)):
        assert status == expected
        assert len(body["error"]) > 10
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "not both" in two_lengths[1]["error"]


def test_idle_uploads_do_not_keep_others_out(address, low):
    host, port = address.removeprefix("http://").split(":")
    start = f"POST /api/enhance HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\nabc"
    with contextlib.ExitStack() as idle:
        for _ in range(80):
            connection = idle.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(start.encode())
        assert requests.get(f"{address}/health", timeout=5).ok
        assert send(address, encoded(low), "?method=gamma").ok


def test_a_client_that_leaves_the_queue_is_not_worked_for(low):
    """Three slow photos of clients that leave at once, and one of a client that stays."""
    noise = np.random.default_rng(0).integers(0, 60, (2000, 2000, 3), np.uint8)
    slow = encoded(noise, "JPEG", quality=50)
    with load_test.running_server("--seconds", "60") as (address, _):
        assert send(address, encoded(low), "?method=lime").ok
        for _ in range(3):
            with pytest.raises(requests.exceptions.ReadTimeout):
                requests.post(
                    f"{address}/api/enhance?method=lime",
                    slow,
                    headers={"Content-Type": "image/jpeg"},
                    timeout=1,
                )
        assert send(address, encoded(low), "?method=gamma").ok
        text = requests.get(f"{address}/metrics", timeout=60).text
    (count,) = re.findall(r"lle_enhance_seconds_count (\d+)", text)
    assert int(count) <= 3, "only the photo that was worked on may have been finished"


def test_what_is_cancelled_at_work_is_ended_after_a_grace(low, monkeypatch):
    from lle_utils.serving import worker as at_work

    monkeypatch.setattr(at_work, "GRACE_SECONDS", 0.2)
    worker = at_work.Worker(waiting=1, seconds=60, warm_up="gamma")
    try:
        small = at_work.Job(encoded(low), "gamma", None, "png")
        worker.run(small)
        worker.start_seconds = 0
        assert worker.run(small, lambda: True).startswith(b"\x89PNG")  # it was done within it
        large = encoded(np.random.default_rng(0).integers(0, 60, (1500, 1500, 3), np.uint8))
        with pytest.raises(at_work.CancelledError):
            worker.run(at_work.Job(large, "lime", None, "png"), lambda: True)
        assert worker.restarts == 1
        worker.start_seconds = 60
        assert worker.run(small).startswith(b"\x89PNG")
    finally:
        worker.close()


def test_the_photo_is_turned_upright_and_keeps_its_profile_but_no_other_metadata(address, low):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret"
    answer = send(address, encoded(low, "JPEG", exif=exif, icc_profile=profile))
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == low.shape[:2]
    assert picture.info["icc_profile"] == profile
    assert b"secret" not in answer.content


def test_limits_and_wrong_requests_are_refused_with_a_reason(address, low):
    photo = encoded(low)
    cases = {
        "too many pixels": (send(address, encoded(np.zeros((2100, 2100, 3), np.uint8))), 413),
        "too many bytes": (send(address, bytes(8_100_000)), 413),
        "no photo": (send(address, b"hello"), 415),
        "empty": (send(address, b""), 415),
        "wrong type": (send(address, photo, kind="text/html"), 415),
        "method": (send(address, photo, "?method=../../etc/passwd"), 422),
        "level": (send(address, photo, "?level=nan"), 422),
        "level of white": (send(address, photo, "?level=1"), 422),
        "format": (send(address, photo, "?format=gif"), 422),
        "twice": (send(address, photo, "?level=0.5&level=0.4"), 422),
        "truncated": (send(address, photo[: len(photo) // 2]), 422),
        "not there": (requests.get(f"{address}/../etc/passwd", timeout=60), 404),
        "not allowed": (requests.get(f"{address}/api/enhance", timeout=60), 405),
    }
    for name, (answer, status) in cases.items():
        assert answer.status_code == status, (name, answer.text)
        assert len(answer.json()["error"]) > 10, name
        assert "nosniff" in answer.headers["X-Content-Type-Options"], name


def malformed(low):
    """Yield 260 uploads that are wrong in many ways, always the same."""
    rng = np.random.default_rng(0)
    for kind in FORMATS:
        good = encoded(low, kind)
        for index in range(16):  # flipped bytes, more of them in the header
            bad = bytearray(good)
            stop = 64 if index % 2 else len(bad)
            for place in rng.integers(0, stop, 1 + index):
                bad[place] = rng.integers(256)
            yield bytes(bad)
        for share in np.linspace(0.01, 0.99, 14):
            yield good[: int(share * len(good))]
        for size in (8, 64, 1000):  # the signature, then noise
            yield good[:12] + rng.bytes(size)
        for start in (b"<html><script>", b"PK\3\4", b"%PDF-1.7\n", b"\x7fELF", b"GIF89a"):
            yield start + good
            yield good + start  # polyglots
    for side in (20_000, 60_000, 2**31 - 1):
        yield bomb(side, side)
        yield bomb(side, 1)
    yield bomb(1900, 1900)  # within the limits, but with next to no data
    for size in range(1, 40):
        yield rng.bytes(size)


def bomb(width, height):
    """Return a tiny PNG that says that it is large."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_no_malformed_upload_makes_the_server_fail(address, low):
    statuses = {}
    uploads = list(malformed(low))
    assert len(uploads) >= 200
    for content in uploads:
        answer = send(address, content, "?method=gamma")
        assert answer.status_code < 500, (answer.status_code, content[:80])
        assert "Traceback" not in answer.text[:500]
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert {200, 413, 415, 422} <= set(statuses), statuses
    assert "lle_worker_restarts_total 0" in requests.get(f"{address}/metrics", timeout=60).text


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b.png", "C:\\x.png", "%2e%2e%2fx", "é"])
def test_names_of_files_are_nothing_to_the_server(address, low, name):
    form = requests.post(f"{address}/api/enhance", files={name: (name, encoded(low))}, timeout=60)
    assert form.status_code == 415
    assert requests.get(f"{address}/{name}", timeout=60).status_code == 404
    headers = {"Content-Type": "image/png", "X-File-Name": name.encode("unicode_escape")}
    headers["Content-Disposition"] = b'attachment; filename="../../x.png"'
    answer = requests.post(f"{address}/api/enhance", encoded(low), headers=headers, timeout=60)
    assert answer.status_code == 200


def test_what_takes_too_long_is_ended_and_the_next_photo_succeeds(low):
    from lle_utils.serving.worker import CrashError, Job, TooSlowError, Worker

    worker = Worker(waiting=1, seconds=60, warm_up="gamma")
    try:
        small = Job(encoded(low), "gamma", None, "png")
        worker.run(small)
        worker.seconds, worker.start_seconds = 0.05, 0
        with pytest.raises(TooSlowError):
            worker.run(Job(encoded(np.zeros((1500, 1500, 3), np.uint8)), "lime", None, "png"))
        worker.seconds = 60
        assert worker.run(small).startswith(b"\x89PNG")
        assert worker.restarts == 1
        worker.process.kill()
        worker.process.join()
        with pytest.raises(CrashError):
            worker.run(small)
        assert worker.run(small).startswith(b"\x89PNG")
    finally:
        worker.close()


def test_asked_to_stop_it_ends_with_its_worker():
    with load_test.running_server() as (_, process):
        children = process.children(recursive=True)
        assert children
        process.terminate()
        assert process.wait(60) == 0
        assert psutil.wait_procs(children, 60)[1] == []


def test_fifty_clients_get_photos_or_busy_and_nothing_else(server):
    address, process = server
    measured = load_test.load(address, process, clients=50, seconds=6)
    assert measured["failures"] == []
    assert set(measured["answers"]) == {"200", "503"}
    assert measured["latency"]["busy"]["median"] < measured["latency"]["photo"]["median"]


def test_the_document_and_the_server_agree(address):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    sizes = st.integers(1, 40)
    photos = st.builds(
        lambda h, w, v: encoded(np.full((h, w, 3), v, np.uint8)), sizes, sizes, st.integers(0, 255)
    )
    for kind in limits.media_types():
        schemathesis.openapi.media_type(kind, photos)
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    calls = []
    for result in schema.get_all_operations():
        operation = result.ok()
        modes = list(schemathesis.GenerationMode)
        for mode in modes if operation.path == "/api/enhance" else modes[:1]:  # others ask nothing
            cases = operation.as_strategy(generation_mode=mode)

            @given(case=cases)
            @settings(
                max_examples=30,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def agree(case):
                calls.append(case.call_and_validate().status_code)

            agree()
    assert len(calls) >= 60
    assert {200, 422} <= set(calls)


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with chromium() as browser:
        yield browser


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_the_page_enhances_wipes_and_downloads(address, browser, tmp_path, size):
    width, height = size
    dark = synthetic.synthetic_pairs(1, (900, 1400), 0).low[0]
    photo = tmp_path / "night.png"
    photo.write_bytes(encoded(dark))
    phone = width < 500
    page = browser.new_page(
        viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone
    )
    errors, hosts = [], set()
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else 0
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(address)
    page.set_input_files("#file", photo)
    page.wait_for_selector("#result", state="visible", timeout=60_000)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "the page scrolls sideways"
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    box = page.locator("#stage").bounding_box()
    x, y = box["x"], box["y"] + box["height"] / 2

    page.mouse.click(x + 0.75 * box["width"], y)  # the line goes where one presses
    line = page.evaluate("parseFloat(document.getElementById('line').style.left)")
    assert line == pytest.approx(75, abs=2)
    shot = np.array(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB"))
    left, right = np.array_split(shot[40:-40], [int(0.75 * shot.shape[1])], axis=1)
    assert right[:, 5:].mean() > 1.5 * left[:, :-5].mean()

    page.select_option("#method", "auto_gamma")
    page.locator("#level").fill("0.5")
    page.locator("#level").dispatch_event("change")
    page.wait_for_selector("#status:empty", state="attached", timeout=60_000)
    assert page.inner_text("#shown") == "0.50"
    with page.expect_download(timeout=60_000) as caught:
        page.click("#download")
    assert caught.value.suggested_filename == "night_enhanced.png"
    result = images.read_uint8(caught.value.path())
    assert result.shape == dark.shape
    assert result.mean() > 1.2 * dark.mean()
    assert errors == []
    assert {host for host in hosts if host} == {address.split("/")[2]}
    page.evaluate("longest = 0.001")
    page.locator("#level").dispatch_event("change")
    page.locator("#status", has_text="may take").wait_for()
    assert "the server stops after 0.001 s" in page.inner_text("#status")
    page.close()


@pytest.mark.browser
def test_the_page_takes_dropped_and_pasted_photos_and_says_what_is_wrong(address, browser, low):
    page = browser.new_page()
    page.goto(address)
    give = """([bytes, type, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "night.png", {type}));
        const init = {bubbles: true, dataTransfer: data, clipboardData: data};
        document.dispatchEvent(
            kind === "drop" ? new DragEvent("drop", init) : new ClipboardEvent("paste", init));
    }"""
    page.evaluate(give, [list(b"hello"), "text/plain", "drop"])
    page.wait_for_selector("#status.bad")
    assert "not a photo that can be read" in page.inner_text("#status")
    film = list(refused(low))[1]  # a PNG of two frames, which a browser would show
    page.evaluate(give, [list(film), "image/png", "drop"])
    page.locator("#status", has_text="holds 2 frames").wait_for()
    assert page.inner_text("#status") == check(address, film).json()["error"]
    assert page.locator("#result").is_hidden()
    for kind in ("drop", "paste"):
        page.evaluate("document.getElementById('result').hidden = true")
        page.evaluate(give, [list(encoded(low)), "image/png", kind])
        page.wait_for_selector("#result", state="visible", timeout=60_000)
    page.close()
