"""Downloads against a real web server on loopback that misbehaves in the ways real ones do."""

import io
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lle_utils.core.paths import sha256
from lle_utils.data import http
from lle_utils.data.download import DownloadError, download_dataset
from lle_utils.data.http import TransferError, receive_http
from lle_utils.data.registry import load_registry
from lle_utils.data.safe_zip import ArchiveError, Limits, check_zip, extract_zip

QUOTA_PAGE = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"


class Handler(BaseHTTPRequestHandler):
    """Serve ``server.files``; ``server.drop_after`` bytes, cut the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server
        path = self.path.split("?")[0]
        site.log.append((path, self.headers.get("Range"), self.headers.get("If-Range")))
        body = site.files.get(path)
        if body is None:
            return self.send_error(404)
        start = self._start(body)
        if start is None:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", site.content_type)
        self.send_header("ETag", site.tag)
        for name, value in site.extra_headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body[start:])

    def _start(self, body):
        wanted = self.headers.get("Range")
        changed = self.headers.get("If-Range", self.server.tag) != self.server.tag
        if not wanted or changed or not self.server.ranges:
            return 0
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        return None if start >= len(body) else start

    def _send(self, body):
        drops = self.server.drop_after
        if not drops:
            return self.wfile.write(body)
        self.wfile.write(body[: drops.pop(0)])
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args):
        pass


def start_site():
    site = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.daemon_threads = True
    site.files, site.log, site.drop_after, site.extra_headers = {}, [], [], {}
    site.ranges, site.tag, site.content_type = True, '"v1"', "application/zip"
    site.url = f"http://127.0.0.1:{site.server_address[1]}"
    threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True).start()
    return site


@pytest.fixture
def site():
    site = start_site()
    yield site
    site.shutdown()
    site.server_close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(http, "RETRY_PAUSE", 0.01)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def make_zip(files, size=300_000):
    """Return a zip of files of noise, which does not shrink."""
    rng = np.random.default_rng(7)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            archive.writestr(name, rng.integers(0, 256, size, np.uint8).tobytes())
    return data.getvalue()


PHOTOS = make_zip(["set/low/1.png", "set/low/2.png", "set/high/1.png", "set/high/2.png"])


def registry(tmp_path, *mirrors, extra='files = { "low" = 2, "high" = 2 }'):
    text = '[photos]\ntitle = "Photos"\ndescription = "d"\nsource = "s"\nlicence = "CC0"\n' + extra
    for mirror in mirrors:
        fields = {"kind": "http", "url": mirror} if isinstance(mirror, str) else mirror
        text += "\n[[photos.mirrors]]\n"
        text += "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
    path = tmp_path / "registry.toml"
    path.write_text(text + "\n")
    return load_registry(path)


def fetch(tmp_path, *mirrors, extra='files = { "low" = 2, "high" = 2 }', **options):
    entries = registry(tmp_path, *mirrors, extra=extra)
    return download_dataset("photos", tmp_path / "data", entries, progress=False, **options)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


# The plain case


def test_a_zip_is_unpacked_without_its_top_folder(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    folder = fetch(tmp_path, site.url + "/a.zip")
    assert folder == tmp_path / "data" / "photos"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png")) == [
        "high/1.png",
        "high/2.png",
        "low/1.png",
        "low/2.png",
    ]
    with zipfile.ZipFile(io.BytesIO(PHOTOS)) as archive:
        assert (folder / "low/2.png").read_bytes() == archive.read("set/low/2.png")
    assert leftovers(folder.parent) == ["checksums.json", "photos"]


def test_a_set_that_is_there_is_not_fetched_again(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    fetch(tmp_path, site.url + "/a.zip")
    assert fetch(tmp_path, site.url + "/a.zip").is_dir()
    assert len(site.log) == 1
    (tmp_path / "data/photos/low/1.png").unlink()
    with pytest.raises(DownloadError, match=r"low/ holds 1 files of 2.*Remove the folder"):
        fetch(tmp_path, site.url + "/a.zip")


def test_the_archive_can_be_kept_and_unpacked_later(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    archive = fetch(tmp_path, site.url + "/a.zip", extract=False)
    assert archive.name == "photos.zip"
    assert archive.read_bytes() == PHOTOS
    assert fetch(tmp_path, site.url + "/a.zip").is_dir()
    assert len(site.log) == 1
    assert not archive.exists()


def test_the_progress_bar_shows_the_name(tmp_path, site, capsys):
    site.files["/a.zip"] = PHOTOS
    download_dataset("photos", tmp_path / "data", registry(tmp_path, site.url + "/a.zip"))
    assert "photos: 100%" in capsys.readouterr().err


# Broken connections


def test_a_dropped_connection_is_resumed(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    site.drop_after = [400_000, 300_000]
    archive = fetch(tmp_path, site.url + "/a.zip", extract=False)
    assert archive.read_bytes() == PHOTOS
    starts = [int(r.removeprefix("bytes=")[:-1]) if r else 0 for _, r, _ in site.log]
    assert starts[0] == 0
    assert 0 < starts[1] <= 400_000 < starts[2] <= 700_000
    assert [tag for _, _, tag in site.log] == [None, '"v1"', '"v1"']


def test_the_next_call_continues_a_download_that_gave_up(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    site.drop_after = [500_000] + [0] * http.MAX_STALLED_ATTEMPTS
    with pytest.raises(DownloadError, match="without progress"):
        fetch(tmp_path, site.url + "/a.zip")
    site.log.clear()
    assert fetch(tmp_path, site.url + "/a.zip").is_dir()
    assert int(site.log[0][1].removeprefix("bytes=")[:-1]) > 400_000
    assert leftovers(tmp_path / "data") == ["checksums.json", "photos"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    site.drop_after = [400_000]
    site.ranges = False
    archive = fetch(tmp_path, site.url + "/a.zip", extract=False)
    assert archive.read_bytes() == PHOTOS


def test_a_file_that_changed_meanwhile_is_not_spliced(tmp_path, site):
    other = make_zip(["set/low/1.png", "set/low/2.png", "set/high/8.png", "set/high/9.png"])
    site.files["/a.zip"] = PHOTOS
    site.drop_after = [500_000] + [0] * http.MAX_STALLED_ATTEMPTS
    with pytest.raises(DownloadError):
        fetch(tmp_path, site.url + "/a.zip", extract=False)
    site.files["/a.zip"], site.tag = other, '"v2"'
    assert fetch(tmp_path, site.url + "/a.zip", extract=False).read_bytes() == other


def test_a_complete_partial_file_is_recognised(tmp_path, site):
    site.files["/a"] = PHOTOS
    (tmp_path / "part").write_bytes(PHOTOS)
    receive_http(site.url + "/a", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == PHOTOS
    (tmp_path / "part").write_bytes(PHOTOS + b"too long")
    receive_http(site.url + "/a", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == PHOTOS


def test_a_server_that_is_silent_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUTS", (0.2, 0.2))
    monkeypatch.setattr(http, "MAX_STALLED_ATTEMPTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.zip"
        with pytest.raises(TransferError, match=r"2 attempts without progress.*timed out"):
            receive_http(url, tmp_path / "part")


def test_a_full_disk_is_seen_before_the_download(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(TransferError, match="GB free"):
        http._check_space(tmp_path, 2 * free)


# Wrong content


def test_a_web_page_instead_of_the_zip_is_refused(tmp_path, site):
    site.files["/a.zip"] = QUOTA_PAGE
    for site.content_type in ("text/html; charset=utf-8", "application/zip"):
        with pytest.raises(DownloadError, match="web page instead of the file"):
            fetch(tmp_path, site.url + "/a.zip")
        assert leftovers(tmp_path / "data") == []


def test_the_next_mirror_is_tried_and_every_reason_told(tmp_path, site):
    site.files |= {"/page": QUOTA_PAGE, "/text": b"sorry", "/good.zip": PHOTOS}
    bad = [site.url + path for path in ("/gone.zip", "/page", "/text")]
    assert fetch(tmp_path, *bad, site.url + "/good.zip").is_dir()
    assert [path for path, _, _ in site.log] == ["/gone.zip", "/page", "/text", "/good.zip"]
    shutil.rmtree(tmp_path / "data")
    manual = {"kind": "manual", "url": "https://example.org/login", "steps": "Sign in."}
    with pytest.raises(DownloadError) as caught:
        fetch(tmp_path, *bad, manual)
    message = str(caught.value)
    for part in (
        "1. " + bad[0] + ": HTTP 404",
        "2. " + bad[1] + ": sent a web page",
        "3. " + bad[2] + ": not a zip file",
        "4. https://example.org/login: needs a browser",
        "(Sign in.)",
        "lle data download photos --archive FILE",
    ):
        assert part in message


def test_a_damaged_zip_is_refused(tmp_path, site):
    flipped = bytearray(PHOTOS)
    flipped[150_000] ^= 0xFF
    site.files |= {"/flip.zip": bytes(flipped), "/cut.zip": PHOTOS[:-5000]}
    for path in ("/flip.zip", "/cut.zip"):
        with pytest.raises(DownloadError, match="damaged or incomplete"):
            fetch(tmp_path, site.url + path)
        assert leftovers(tmp_path / "data") == []


def test_missing_photos_are_counted(tmp_path, site):
    site.files["/a.zip"] = make_zip(["set/low/1.png", "set/high/1.png", "set/high/2.png"])
    with pytest.raises(DownloadError, match="1 files in low/, expected 2"):
        fetch(tmp_path, site.url + "/a.zip")


def test_a_wrong_checksum_is_refused(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    mirror = {"kind": "http", "url": site.url + "/a.zip", "sha256": "0" * 64}
    with pytest.raises(DownloadError, match="but the registry states 0000"):
        fetch(tmp_path, mirror)
    assert leftovers(tmp_path / "data") == []


def test_the_first_checksum_is_recorded_and_later_ones_compared(tmp_path, site):
    site.files["/a.zip"] = PHOTOS
    url = site.url + "/a.zip"
    archive = fetch(tmp_path, url, extract=False)
    lock = tmp_path / "data" / "checksums.json"
    assert json.loads(lock.read_text()) == {"photos": {url: sha256(archive)}}
    archive.unlink()
    site.files["/a.zip"] = make_zip(["set/low/1", "set/low/2", "set/high/1", "set/high/2"])
    with pytest.raises(DownloadError, match=r"checksums\.json recorded earlier"):
        fetch(tmp_path, url)
    lock.write_text("{")
    with pytest.raises(DownloadError, match=r"checksums\.json is damaged"):
        fetch(tmp_path, url)


def test_a_file_of_another_kind_is_kept_where_the_registry_allows_it(tmp_path, site):
    site.files["/a"] = b"Rar!\x1a\x07 and so on"
    with pytest.raises(DownloadError, match="not a zip file"):
        fetch(tmp_path, site.url + "/a", extra="")
    kept = fetch(tmp_path, site.url + "/a", extra='format = "any"')
    assert kept.name == "photos.rar"
    assert kept.read_bytes() == site.files["/a"]


# An archive fetched by hand


def test_an_archive_fetched_by_hand_is_checked_unpacked_and_left(tmp_path):
    manual = {"kind": "manual", "url": "https://example.org", "steps": "Sign in."}
    mine = tmp_path / "from browser.zip"
    with pytest.raises(DownloadError, match=r"from browser\.zip: no such file"):
        fetch(tmp_path, manual, archive=mine)
    mine.write_bytes(QUOTA_PAGE)
    with pytest.raises(DownloadError, match="web page"):
        fetch(tmp_path, manual, archive=mine)
    mine.write_bytes(PHOTOS)
    assert (fetch(tmp_path, manual, archive=mine) / "high/2.png").is_file()
    assert mine.exists()


def test_the_default_folder_is_the_photo_folder(tmp_path, site, monkeypatch):
    site.files["/a.zip"] = PHOTOS
    monkeypatch.setenv("LLE_DATA_DIR", str(tmp_path))
    entries = registry(tmp_path, site.url + "/a.zip")
    assert download_dataset("photos", registry=entries, progress=False) == tmp_path / "photos"


def test_a_target_that_is_a_file_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DownloadError, match="data cannot be made"):
        fetch(tmp_path, "https://example.org/a.zip")


# Hostile archives


def hostile(tmp_path, name, mode=0, data=b"x", method=zipfile.ZIP_DEFLATED):
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name  # the constructor would tidy the name
        info.external_attr = mode << 16
        info.compress_type = method
        archive.writestr("innocent.txt", "x")
        archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("../out.txt", 0, "leads outside"),
        ("a/../../out.txt", 0, "leads outside"),
        ("..\\out.txt", 0, "leads outside"),
        ("/tmp/out.txt", 0, "absolute path"),
        ("C:\\out.txt", 0, "absolute path"),
        ("link", stat.S_IFLNK | 0o777, "link or a device"),
        ("fifo", stat.S_IFIFO | 0o666, "link or a device"),
        ("innocent.txt/inside", 0, "occurs twice"),
    ],
)
def test_entries_that_leave_the_folder_are_refused(tmp_path, name, mode, message):
    path = hostile(tmp_path, name, mode, data=b"/etc/passwd")
    with pytest.raises(ArchiveError, match=message):
        extract_zip(path, tmp_path / "inner" / "target")
    assert leftovers(tmp_path / "inner") == []
    assert leftovers(tmp_path) == ["hostile.zip", "inner"]


def test_a_hostile_archive_is_refused_by_a_download(tmp_path, site):
    site.files["/a.zip"] = hostile(tmp_path, "../out.txt").read_bytes()
    with pytest.raises(DownloadError, match="leads outside"):
        fetch(tmp_path, site.url + "/a.zip", extra="")
    assert leftovers(tmp_path / "data") == []
    assert not list(tmp_path.rglob("out.txt"))


def test_a_zip_that_inflates_without_end_is_stopped(tmp_path, site):
    bomb = hostile(tmp_path, "zeros.bin", data=bytes(20_000_000))
    assert bomb.stat().st_size < 50_000
    with pytest.raises(ArchiveError, match="inflates to more than 200 times"):
        check_zip(bomb)
    with pytest.raises(ArchiveError, match="more than the 5,000,000 bytes"):
        extract_zip(bomb, tmp_path / "target", Limits(total_bytes=5_000_000, ratio=2000))
    assert not (tmp_path / "target").exists()
    site.files["/a.zip"] = bomb.read_bytes()
    with pytest.raises(DownloadError, match="inflates"):
        fetch(tmp_path, site.url + "/a.zip", extra="")
    assert leftovers(tmp_path / "data") == []


def test_a_bomb_with_a_modest_header_is_stopped(tmp_path):
    """The header may say anything: what counts is what comes out."""
    path = hostile(tmp_path, "zeros.bin", data=bytes(20_000_000))
    packed = path.read_bytes()
    lying = packed.replace((20_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != packed
    path.write_bytes(lying)
    with pytest.raises(ArchiveError, match="damaged"):
        extract_zip(path, tmp_path / "target")
    assert leftovers(tmp_path) == ["hostile.zip"]


def test_many_entries_and_odd_packing_are_refused(tmp_path):
    path = hostile(tmp_path, "b.txt")
    with pytest.raises(ArchiveError, match="2 entries, more than the 1 allowed"):
        check_zip(path, Limits(files=1))
    path = hostile(tmp_path, "b.txt", method=zipfile.ZIP_LZMA)
    with pytest.raises(ArchiveError, match="unusual method"):
        check_zip(path)


def test_an_archive_larger_than_the_disk_is_refused_before_writing(tmp_path):
    path = tmp_path / "huge.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
        archive.filelist[0].file_size = 1 << 60
    with pytest.raises(ArchiveError, match="GB free"):
        extract_zip(path, tmp_path / "target")
    assert leftovers(tmp_path) == ["huge.zip"]


def test_clutter_and_a_mix_of_top_folders(tmp_path):
    (tmp_path / "a.zip").write_bytes(make_zip(["set/1", "__MACOSX/set/._1", "set/.DS_Store"], 9))
    (tmp_path / "b.zip").write_bytes(make_zip(["low/1", "high/1"], 9))
    assert [str(n) for n in check_zip(tmp_path / "a.zip")] == ["1"]
    assert [str(n) for n in check_zip(tmp_path / "b.zip")] == ["low/1", "high/1"]


EXTRACT = """
import sys, time
from lle_utils.data import safe_zip
slow = safe_zip._write
def write(chunks, path):
    slow(chunks, path)
    print(path, flush=True)
    time.sleep(30)
safe_zip._write = write
safe_zip.extract_zip(sys.argv[1], sys.argv[2])
"""


def test_an_interrupted_extraction_leaves_no_half_folder(tmp_path):
    """Killed with no chance to tidy up: the folder is absent, and the next call succeeds."""
    (tmp_path / "a.zip").write_bytes(PHOTOS)
    command = [sys.executable, "-c", EXTRACT, tmp_path / "a.zip", tmp_path / "target"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip().endswith("1.png")
        process.kill()
    assert not (tmp_path / "target").exists()
    extract_zip(tmp_path / "a.zip", tmp_path / "target")
    assert leftovers(tmp_path) == ["a.zip", "target"]
    with pytest.raises(FileExistsError, match="remove it first"):
        extract_zip(tmp_path / "a.zip", tmp_path / "target")


# Google Drive: the real client, sent through a loopback proxy that plays drive.google.com


class DriveProxy(Handler):
    """Accept CONNECT and answer the encrypted requests itself."""

    def do_CONNECT(self):
        self.server.log.append((self.path, None, None))
        self.send_response(200)
        self.end_headers()
        with self.server.tls.wrap_socket(self.connection, server_side=True) as self.connection:
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.handle_one_request()
        self.close_connection = True


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A site that answers for drive.google.com and drive.usercontent.google.com."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; it makes the certificate of the pretended Drive")
    names = "subjectAltName=DNS:drive.google.com,DNS:drive.usercontent.google.com"
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=drive.google.com".split()
        + f"-addext {names} -keyout".split()
        + [key, "-out", pem],
        check=True,
        capture_output=True,
    )
    site = start_site()
    site.RequestHandlerClass = DriveProxy
    site.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    site.tls.load_cert_chain(pem, key)
    monkeypatch.setenv("HTTPS_PROXY", site.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(pem))
    monkeypatch.setenv("NO_PROXY", "")
    yield site
    site.shutdown()
    site.server_close()


DRIVE = {"kind": "drive", "id": "0123456789abcdefghijklmnopqrstuvw"}
VIRUS_PAGE = b"""<!DOCTYPE html><html><body>Google Drive can't scan this file for viruses.
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">
<input type="hidden" name="id" value="0123"><input type="hidden" name="confirm" value="t">
</form></body></html>"""
OVER_QUOTA = b"""<!DOCTYPE html><html><body>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>
</body></html>"""


class DriveFiles(dict):
    """The page at /uc, the file at /download with the header that marks a file."""

    def __init__(self, site, page):
        super().__init__({"/uc": page, "/download": PHOTOS})
        self.site = site

    def get(self, path, default=None):
        name = {"Content-Disposition": 'attachment; filename="photos.zip"'}
        self.site.extra_headers = name if path == "/download" else {}
        return super().get(path, default)


def test_drive_is_asked_to_confirm_a_large_file(tmp_path, drive):
    drive.files = DriveFiles(drive, VIRUS_PAGE)
    assert (fetch(tmp_path, DRIVE) / "low/2.png").is_file()
    assert [entry[0] for entry in drive.log] == [
        "drive.google.com:443",
        "/uc",
        "drive.usercontent.google.com:443",
        "/download",
    ]
    assert leftovers(tmp_path / "data") == ["checksums.json", "photos"]


def test_the_quota_page_of_drive_leads_to_the_next_mirror(tmp_path, drive, site, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    drive.files = DriveFiles(drive, OVER_QUOTA)
    with pytest.raises(DownloadError, match=r"drive\.google\.com/file/d/0123.*Too many users"):
        fetch(tmp_path, DRIVE)
    site.files["/a.zip"] = PHOTOS
    assert fetch(tmp_path, DRIVE, site.url + "/a.zip").is_dir()


def test_without_a_connection_drive_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "MAX_STALLED_ATTEMPTS", 0)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(DownloadError, match="Google Drive: "):
        fetch(tmp_path, DRIVE)
