"""ONNX Runtime for browsers, fetched from the registry of npm: one version, known by its hash."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
WASM_FILES = (  # for processors
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
WEBGPU_FILES = (  # for graphics cards
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
PATIENCE = 600  # seconds that npm may take for the 33 MB


class RuntimeFetchError(RuntimeError):
    """A runtime that cannot be had, or that is not the one that was asked for."""


def fetch_runtime() -> dict[str, bytes]:
    """Fetch the files of the runtime that a browser loads.

    npm keeps what it has fetched, so that only the first call needs the network.

    Returns:
        The content of each of `WASM_FILES` and `WEBGPU_FILES`, by name.

    Raises:
        RuntimeFetchError: If npm is missing or fails, or if what it brings has another hash.
    """
    return read_package(_packed())


def read_package(content: bytes) -> dict[str, bytes]:
    """Take the files of the runtime out of its package.

    Args:
        content: Of the ``.tgz``.

    Returns:
        As `fetch_runtime`.

    Raises:
        RuntimeFetchError: If it is not the package of `VERSION`.
    """
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != SHA512:
        raise RuntimeFetchError(
            f"{PACKAGE} {VERSION} has the hash sha512-{found}; expected sha512-{SHA512}. "
            "It was changed on the way: try again, or from another network."
        )
    with tarfile.open(fileobj=BytesIO(content)) as package:
        return {
            name: package.extractfile(f"package/dist/{name}").read()
            for name in (*WASM_FILES, *WEBGPU_FILES)
        }


def _packed() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeFetchError(f"npm is missing, which fetches {PACKAGE}: install Node.js.")
    with tempfile.TemporaryDirectory() as folder:
        words = ["pack", f"{PACKAGE}@{VERSION}", "--prefer-offline", "--ignore-scripts"]
        words += ["--silent", "--pack-destination", folder]
        try:
            outcome = subprocess.run(
                [npm, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            raise RuntimeFetchError(f"npm took more than {PATIENCE} s for {PACKAGE}.") from None
        packages = list(Path(folder).glob("*.tgz"))
        if outcome.returncode or not packages:
            said = outcome.stderr.strip() or "it said nothing; is there a network?"
            raise RuntimeFetchError(f"npm cannot fetch {PACKAGE} {VERSION}: {said}")
        return packages[0].read_bytes()
