"""Every method behind one call: a baseline or an enhancer by name, in the quickest runtime."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils import __version__
from lle_utils.baselines import BASELINES
from lle_utils.files import data_dir, sha256
from lle_utils.images import as_float
from lle_utils.inference import (
    MODEL_FILE,
    SMALL,
    Enhancer,
    check_level,
    load_card,
    load_enhancer,
)
from lle_utils.tiles import MEMORY, convert_like

# "openvino" computes in float32 as Keras does, "openvino-fast" as the processor is quickest.
RUNTIMES = ("keras", "openvino", "openvino-fast")
ROUNDING = 1  # of 255: what rounding may turn a difference of 1e-6 into
WORTHWHILE = 20  # photos for which converting a network first pays
ROWS = 256  # rows of a photo blended at a time


class Method:
    """A method that several threads may call; a network serves them one after the other.

    Args:
        run: Takes an image ``(H, W, 3)``, a level and bytes of memory; returns its like.
        has_level: Whether ``run`` heeds the level itself; otherwise the result is blended.
        alone: Up to how many pixels of a photo ``run`` may be called by several threads at once.
    """

    def __init__(self, run: Callable, has_level: bool, alone: float) -> None:
        self._run, self._has_level, self._alone = run, has_level, alone
        self._lock = threading.Lock()

    def __call__(self, photo: np.ndarray, level: float = 1.0, memory: int = MEMORY) -> np.ndarray:
        """Enhance a photo.

        Args:
            photo: Image ``(H, W, 3)``: uint8, uint16, or floating point in [0, 1].
            level: 0 is as dark as the photo, 1 what the method makes of it by default, beyond
                brighter: the network decides if it has a level, else both are blended.
            memory: Bytes that the process may hold, as for `Enhancer.enhance`.

        Returns:
            Image of the same shape and type.

        Raises:
            EnhancerError: If the level is not a number of 0 or more.
            ImageError: If it is no such image.
            lle_utils.tiles.MemoryLimitError: If the memory does not suffice.
        """
        level = check_level(level)
        pixels = photo.shape[0] * photo.shape[1]
        with nullcontext() if pixels <= self._alone else self._lock:
            enhanced = self._run(photo, level, memory)
        if self._has_level or level == 1:
            return enhanced
        for top in range(0, len(photo), ROWS):
            low, bright = (as_float(x[top : top + ROWS]) for x in (photo, enhanced))
            blend = low + level * (bright - low)
            enhanced[top : top + ROWS] = convert_like(blend, photo.dtype)
        return enhanced


def load_method(name: str | os.PathLike, runtime: str = "auto", photos: int = 1) -> Method:
    """Load a baseline or an enhancer.

    Args:
        name: One of `lle_utils.baselines.BASELINES`, a shipped enhancer, or the folder of one.
        runtime: One of `RUNTIMES`, or ``"auto"``: OpenVINO if it is installed, was measured to
            be quicker for this enhancer with results that differ by no more than `ROUNDING`, and
            is set up already or there are photos enough to set it up for.
        photos: How many photos it is meant for.

    Returns:
        The method.

    Raises:
        FileNotFoundError, EnhancerError: As `load_enhancer`.
        ImportError: If OpenVINO is asked for and not installed.
        lle_utils.export.ExportError: If OpenVINO is asked for and does something else.
    """
    if name in BASELINES:
        plain = BASELINES[name]

        def run(photo: np.ndarray, level: float, memory: int) -> np.ndarray:
            return convert_like(plain(as_float(photo)), photo.dtype)

        return Method(run, False, SMALL)
    if runtime == "auto":
        runtime = _preferred(name, photos)
    if runtime == "keras":
        enhancer = load_enhancer(name)
    else:
        enhancer = load_openvino(name, exact=runtime == "openvino")

    def enhance(photo: np.ndarray, level: float, memory: int) -> np.ndarray:
        return enhancer.enhance(photo, level if enhancer.has_level else None, memory=memory)

    return Method(enhance, enhancer.has_level, 0)


class OpenVinoEnhancer(Enhancer):
    """An enhancer whose network runs in OpenVINO; statistics of large photos come from Keras."""

    @cached_property
    def _original(self) -> Enhancer:
        return load_enhancer(self.name)

    @cached_property
    def _bytes_per_pixel(self) -> float:
        return self._original._bytes_per_pixel

    def _runner(self, *arguments: Any) -> Callable[[np.ndarray], np.ndarray]:
        return self._original._runner(*arguments)


def load_openvino(name: str, exact: bool = True) -> OpenVinoEnhancer:
    """Load a shipped enhancer for OpenVINO; the first time it is converted, compared and kept.

    What is kept lies under ``$XDG_CACHE_HOME/lle`` (``~/.cache/lle``), by the version of the
    package and the checksum of the enhancer's weights.

    Args:
        name: The name of a shipped enhancer.
        exact: As for `lle_utils.export.Exported`.

    Returns:
        The enhancer; TensorFlow is loaded only to convert it, or for large photos.

    Raises:
        FileNotFoundError, EnhancerError, ImportError, lle_utils.export.ExportError: See
            `load_method`.
    """
    from lle_utils.export import Exported, export

    path = _converted(name)
    if not path.exists():
        export(load_enhancer(name), "openvino", path.parent)
    return OpenVinoEnhancer(Exported(path, exact), load_card(_folder(name)))


def _preferred(name: str | os.PathLike, photos: int) -> str:
    runtime = quickest_runtimes().get(str(name), "keras")
    if runtime == "keras" or find_spec("openvino") is None:
        return "keras"
    return runtime if photos >= WORTHWHILE or _converted(str(name)).exists() else "keras"


def quickest_runtimes() -> dict[str, str]:
    """Return the quickest of `RUNTIMES` for each enhancer of the record ``throughput``.

    One whose results differ by more than `ROUNDING` does not count.
    """
    try:
        text = (data_dir() / "results" / "throughput.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {case["method"]: quickest(case) for case in json.loads(text)["cases"]}


def quickest(case: Mapping) -> str:
    """Return the quickest runtime of a case of the record ``throughput`` that keeps results."""
    seconds, differences = case["seconds"], case["differences"]
    kept = [name for name in RUNTIMES if seconds[name] and differences[name] <= ROUNDING]
    return min(kept, key=seconds.__getitem__)


def _folder(name: str) -> Path:
    return data_dir() / "pretrained" / name


def _converted(name: str) -> Path:
    model = _folder(name) / MODEL_FILE
    if not model.is_file():
        raise FileNotFoundError(f"{name!r} is not shipped; only shipped enhancers run in OpenVINO.")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lle" / __version__ / sha256(model)[:16] / f"{name}_openvino"
