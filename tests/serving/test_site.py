"""The app for the device as files: what is in it, how it is written, what is refused."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lle_utils.cli import main
from lle_utils.enhancers.storage import list_enhancers, load_enhancer_card
from lle_utils.serving import site, web_runtime

RUNTIME = {name: name.encode() for name in (*web_runtime.WASM_FILES, *web_runtime.WEBGPU_FILES)}


@pytest.fixture(scope="module")
def written():
    return site.site_files(RUNTIME)


def listing(written):
    lines = written["files.js"].decode().splitlines()
    return [json.loads(line.split(" = ", 1)[1].rstrip(";")) for line in lines]


def test_every_file_but_the_worker_is_listed_with_its_hash_and_belongs_to_a_group(written):
    hashes, groups = listing(written)
    assert set(hashes) == set(written) - {"sw.js", "files.js"}
    for name, told in hashes.items():
        digest = base64.b64encode(hashlib.sha256(written[name]).digest()).decode()
        assert told == f"sha256-{digest}"
    assert sorted(name for group in groups.values() for name in group) == sorted(hashes)


def test_every_shipped_enhancer_of_photos_is_offered_and_others_are_named(written):
    told = json.loads(written["methods.json"])
    assert sorted(entry["name"] for entry in told["methods"]) == list_enhancers()
    assert all(path in written for entry in told["methods"] for path in entry["files"])
    assert told["live"] in list_enhancers()
    for name in list_enhancers(raw=True):
        assert load_enhancer_card(name)["method"] in told["absent"]


def test_the_manifest_makes_the_app_installable(written):
    manifest = json.loads(written["manifest.webmanifest"])
    assert manifest["name"]
    assert 0 < len(manifest["short_name"]) <= 12
    assert manifest["display"] == "standalone"
    assert manifest["start_url"] == manifest["scope"] == manifest["id"] == "./"
    sides = {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]}
    assert sides == {(f"{s}x{s}", p) for s in (192, 512) for p in ("any", "maskable")}
    for icon in manifest["icons"]:
        picture = Image.open(io.BytesIO(written[icon["src"]]))
        assert f"{picture.width}x{picture.height}" == icon["sizes"]
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        pixels = np.asarray(picture).astype(float)
        left, right = np.array_split(pixels, 2, axis=1)
        assert right.mean() > 1.5 * left.mean()


def test_what_the_page_and_its_scripts_name_is_there(written):
    page = written["index.html"].decode()
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert name in written
    for name, content in written.items():
        if name.endswith(".js"):
            for other in re.findall(r'from "\./([^"]+)"', content.decode()):
                assert other in written, f"{name} imports {other}"
    labels = set(re.findall(r'<label[^>]* for="(\w+)"', page))
    for control in re.findall(r'<(?:input|select)[^>]*id="(\w+)"', page):
        inside = re.search(rf'<label[^>]*>(?:(?!</label>).)*id="{control}"', page, re.S)
        told = re.search(rf'id="{control}"[^>]*aria-label=', page)
        assert control in labels or inside or told, f"{control} has no label"


def test_page_and_worker_forbid_the_same_and_name_no_other_host(written):
    page, worker = written["index.html"].decode(), written["sw.js"].decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    parts = re.search(r'"Content-Security-Policy":\s*((?:"[^"]*"[\s+]*)+)', worker)[1]
    told = "".join(re.findall(r'"([^"]*)"', parts))
    assert told == f"{policy}; frame-ancestors 'none'"  # which a page cannot say itself
    assert "connect-src 'self'" in policy
    for name, content in written.items():
        if name.endswith((".js", ".html", ".css")):
            assert not re.search(rb"https?://", content), name


def test_the_licence_is_that_of_the_version_fetched(written):
    text = written["licences.txt"].decode()
    assert f"{web_runtime.PACKAGE} {web_runtime.VERSION}" in text
    assert "Permission is hereby granted" in text


def test_an_app_replaces_an_app_and_nothing_else(tmp_path):
    target = tmp_path / "site"
    assert site.write_site(target, RUNTIME) == target / "index.html"
    (target / "old.js").touch()
    site.write_site(target, RUNTIME)
    assert not (target / "old.js").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    diary = tmp_path / "mine" / "diary.txt"
    diary.parent.mkdir()
    diary.touch()
    with pytest.raises(site.SiteError, match="holds something that is no app"):
        site.write_site(diary.parent, RUNTIME)
    assert [path.name for path in diary.parent.iterdir()] == ["diary.txt"]


def test_a_package_that_was_changed_is_refused():
    with pytest.raises(web_runtime.RuntimeFetchError, match="expected sha512-"):
        web_runtime.read_package(b"something else")


def test_without_npm_the_command_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("npm") is None
    assert main.main(["site", "-o", str(tmp_path / "site")]) == 1
    assert "install Node.js" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_writing_the_app_loads_neither_keras_nor_the_server():
    code = (
        "import sys; from lle_utils.serving import site\n"
        "site.site_files({})\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
