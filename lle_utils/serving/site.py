"""The page as a static, installable app that enhances photos on the device itself."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from lle_utils.core import exposure
from lle_utils.core.paths import data_dir
from lle_utils.enhancers import brightness, tiling
from lle_utils.enhancers.enhancer import WORKING_SIDE, Enhancer
from lle_utils.enhancers.onnx_form import load_onnx
from lle_utils.enhancers.storage import caution, list_enhancers, load_card, onnx_paths
from lle_utils.serving.icons import ICON_SIDES, draw_icon
from lle_utils.serving.limits import Limits
from lle_utils.serving.web_runtime import WASM_FILES, WEBGPU_FILES

FIRST = ("lumen_tiny", "zero_dce_pp", "lumen")  # in the order of the menu; the others follow
LIVE = "zero_dce_pp"  # for the camera
LARGEST_PIECE = 2**21  # pixels that a network without statistics is given at once
MARK = "files.js"  # that tells a site of ours from a folder of anybody's
NAME, SHORT_NAME = "Brighten a dark photo", "Brighten"


class SiteError(ValueError):
    """A folder that a site cannot be written to."""


def write_site(target: str | os.PathLike, runtime: Mapping[str, bytes]) -> Path:
    """Write the app into a folder, whole or not at all; an earlier app in it is replaced.

    Args:
        target: The folder.
        runtime: As of `lle_utils.serving.web_runtime.fetch_runtime`.

    Returns:
        Its ``index.html``.

    Raises:
        SiteError: If the folder holds something else.
    """
    target = Path(target)
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not is_site(target)):
        raise SiteError(f"{target} holds something that is no app. Name a new or an empty folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as draft:
        site = Path(draft) / "site"
        for name, content in site_files(runtime).items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if target.is_dir():
            target.rename(Path(draft) / "old")
        shutil.move(site, target)
    return target / "index.html"


def is_site(folder: Path) -> bool:
    """Tell whether a folder holds an app that `write_site` wrote."""
    return (folder / MARK).is_file() and (folder / "sw.js").is_file()


def site_files(runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the app: path in its folder -> content.

    Args:
        runtime: As of `write_site`.
    """
    shell = {path.name: path.read_bytes() for path in (files(__package__) / "device").iterdir()}
    shell["page.css"] = (files(__package__) / "static" / "page.css").read_bytes()
    shell["manifest.webmanifest"] = _json(manifest())
    shell["methods.json"] = _json(settings())
    shell |= {f"icons/{side}.png": draw_icon(side) for side in ICON_SIDES}
    models = {path: _model(path).read_bytes() for entry in methods() for path in entry["files"]}
    parts = {f"ort/{name}": content for name, content in runtime.items()}
    listed = {**shell, **parts, **models}
    del listed["sw.js"]  # the browser itself looks after it
    groups = {
        "shell": [name for name in shell if name != "sw.js"],
        "wasm": [f"ort/{name}" for name in WASM_FILES],
        "webgpu": [f"ort/{name}" for name in WEBGPU_FILES],
        "models": list(models),
    }
    hashes = {name: _integrity(content) for name, content in listed.items()}
    listing = f"self.FILES = {json.dumps(hashes)};\nself.GROUPS = {json.dumps(groups)};\n"
    return {**shell, **parts, **models, MARK: listing.encode()}


def manifest() -> dict:
    """Return what a browser needs to know to install the app."""
    icons = [
        {"src": f"icons/{s}.png", "sizes": f"{s}x{s}", "type": "image/png", "purpose": purpose}
        for s in ICON_SIDES
        for purpose in ("any", "maskable")
    ]
    return {
        "id": "./",
        "name": NAME,
        "short_name": SHORT_NAME,
        "description": "Brightens dark photos on your own device.",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#121212",
        "theme_color": "#121212",
        "categories": ["photo"],
        "icons": icons,
    }


def settings() -> dict:
    """Return what the app has to know: methods, the rules of the command, what it lacks."""
    limits = Limits()
    rules = {
        "workingSide": WORKING_SIDE,
        "memoryLimit": tiling.MEMORY_LIMIT,
        "heldBytes": tiling.held_bytes(0),
        "untiledPixels": tiling.UNTILED_PIXELS,
        "memorySafetyFactor": tiling.MEMORY_SAFETY_FACTOR,
        "largestFeatures": tiling.LARGEST_FEATURES,
        "smallestTile": tiling.SMALLEST_TILE,
        "tileStep": tiling.TILE_STEP,
        "usualLevel": brightness.USUAL_LEVEL,
        "brightShare": brightness.BRIGHT_SHARE,
        "brightValue": brightness.BRIGHT_VALUE,
        "limits": brightness.LIMITS,
        "sampledPixels": brightness.SAMPLED_PIXELS,
        "gains": exposure.GAINS,
        "countedPixels": exposure.COUNTED_PIXELS,
        "curvePoints": exposure.CURVE_POINTS,
        "megabytes": limits.megabytes,
        "megapixels": limits.megapixels,
    }
    return {"methods": methods(), "live": LIVE, "rules": rules, "absent": absent()}


def methods() -> list[dict]:
    """List what the app offers: every shipped enhancer of photos, those of `FIRST` first."""
    known = list_enhancers()
    names = [name for name in FIRST if name in known]
    return [_entry(load_onnx(name)) for name in [*names, *(n for n in known if n not in names)]]


def absent() -> str:
    """Say which methods of the command the app does not have, and why."""
    raw = ", ".join(load_card(_folder(name))["method"] for name in list_enhancers(raw=True))
    return (
        f"Not in this app: {raw}, because browsers do not decode camera raw, and the methods "
        "without a network. The command has them."
    )


def _entry(enhancer: Enhancer) -> dict:
    name, parts = enhancer.name, enhancer.model
    entry = {
        "name": name,
        "title": enhancer.card["method"],
        "licence": enhancer.card["licence"],
        "caution": caution(enhancer.card),
        "files": [f"models/{name}/{path.name}" for path in onnx_paths(name)],
        "multiple": enhancer.size_divisor,
        "padding": enhancer.padding,
        "overlap": enhancer.overlap,
        "blend": tiling.DEFAULT_BLEND if enhancer.is_global else 0,
        "bytesPerPixel": enhancer.bytes_per_pixel,
        # Tiles of networks that see a few pixels agree at any size, others' at the command's alone.
        "largestPiece": 2**53 if enhancer.is_global else LARGEST_PIECE,
        "hasGain": enhancer.has_gain,
        "hasStrength": enhancer.has_strength,
    }
    if enhancer.has_strength:
        entry["strength"] = {"mean": parts.mean.ravel().tolist(), "full": parts.full}
    return entry


def _folder(name: str) -> Path:
    return data_dir() / "pretrained" / name


def _model(path: str) -> Path:
    _, name, file = path.split("/")
    return _folder(name) / file


def _json(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _integrity(content: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"
