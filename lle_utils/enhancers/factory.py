"""Every method behind one call: a baseline or an enhancer by name, in the quickest runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lle_utils.core.exposure import reach
from lle_utils.core.images import as_float, convert_like
from lle_utils.core.photo_formats import Photo, read_photo
from lle_utils.core.photo_metadata import read_metadata
from lle_utils.data.raw import read_raw
from lle_utils.enhancers.brightness import default_level
from lle_utils.enhancers.classical import BASELINES, EXPONENTS, raised
from lle_utils.enhancers.enhancer import Enhancer, EnhancerError, check_level
from lle_utils.enhancers.onnx_form import load_onnx
from lle_utils.enhancers.raw_enhancer import RawEnhancer
from lle_utils.enhancers.runtimes import quickest_runtimes
from lle_utils.enhancers.storage import is_raw, load_enhancer, onnx_paths
from lle_utils.enhancers.tiling import MEMORY_LIMIT, UNTILED_PIXELS

PHOTOS_WORTH_OPENVINO = 20  # for fewer, setting a network up for their size does not pay


class Method:
    """A method that several threads may call; a network serves them one after the other.

    Args:
        run: Takes an image ``(H, W, 3)``, a level or None, and bytes of memory; returns its like.
        parallel_pixels: Up to how many pixels of a photo several threads may call ``run`` at once.
        choose_level: Chooses a level for a photo, for a network that has to be told one.

    Attributes:
        choose_level: As given, or None.
    """

    def __init__(
        self,
        run: Callable,
        parallel_pixels: int,
        choose_level: Callable[[np.ndarray], float] | None = None,
    ) -> None:
        self._run, self._parallel_pixels = run, parallel_pixels
        self.choose_level = choose_level
        self._lock = threading.Lock()

    def __call__(
        self, photo: np.ndarray, level: float | None = None, memory: int = MEMORY_LIMIT
    ) -> np.ndarray:
        """Enhance a photo.

        Args:
            photo: Image ``(H, W, 3)``: uint8, uint16, or floating point in [0, 1].
            level: Mean brightness that the result shall have, in (0, 1); None leaves it to the
                method.
            memory: Bytes that the process may hold, as for `Enhancer.enhance`.

        Returns:
            Image of the same shape and type.

        Raises:
            EnhancerError: If the level is not a number between 0 and 1.
            ImageError: If it is no such image.
            lle_utils.enhancers.MemoryLimitError: If the memory does not suffice.
        """
        level = check_level(level)
        pixels = photo.shape[0] * photo.shape[1]
        with nullcontext() if pixels <= self._parallel_pixels else self._lock:
            return self._run(photo, level, memory)


def load_method(name: str | os.PathLike, runtime: str = "auto", photos: int = 1) -> Method:
    """Load a baseline or an enhancer.

    Args:
        name: One of `lle_utils.enhancers.BASELINES`, a shipped enhancer, or the folder of one.
        runtime: One of `RUNTIMES`, or ``"auto"``: ONNX Runtime for an enhancer that has this form,
            as those that are shipped do; Keras for others. OpenVINO if it is installed, was
            measured to be quicker still with results that differ by no more than
            `ROUNDING_LEVELS`, and there are photos enough to set it up for.
        photos: How many photos it is meant for.

    Returns:
        The method.

    Raises:
        FileNotFoundError, EnhancerError: As `load_enhancer`.
        ImportError: If the runtime, or a package that the baseline needs, is not installed.
        lle_utils.enhancers.ExportError: If the enhancer has no form for the runtime.
    """
    if name in BASELINES:
        plain = BASELINES[name]
        plain(np.zeros((8, 8, 3)))  # a package that it lacks is missed now, not at the first photo

        def run(photo: np.ndarray, level: float | None, memory: int) -> np.ndarray:
            if level is None and name in EXPONENTS and photo.dtype == np.uint8:
                return raised(photo, EXPONENTS[name](photo))
            result = plain(as_float(photo))
            if level is not None:
                result = reach(result, level)(result)
            return convert_like(result, photo.dtype)

        return Method(run, UNTILED_PIXELS)
    if is_raw(name):
        raise EnhancerError(
            f"{name} develops camera raw, not photos: lle enhance photo.dng --method {name}."
        )
    enhancer = _load(name, runtime, photos)

    def enhance(photo: np.ndarray, level: float | None, memory: int) -> np.ndarray:
        return enhancer.enhance(photo, level, memory=memory)

    return Method(enhance, 0, default_level if enhancer.has_gain else None)


def load_developer(
    name: str | os.PathLike,
    level: float | None = None,
    memory: int = MEMORY_LIMIT,
    runtime: str = "auto",
) -> Callable[[Path], Photo]:
    """Load an enhancer that develops camera raw.

    Args:
        name: A shipped enhancer, or the folder of one, see `is_raw`.
        level: Mean brightness that photos shall have, in (0, 1); None leaves it to the enhancer.
        memory: Bytes that the process may hold.
        runtime: As of `load_method`.

    Returns:
        A function from the path of a raw file to the photo, with what is kept of its metadata.
        Several threads may call it; the network serves one after the other.

    Raises:
        FileNotFoundError, EnhancerError, ImportError, ExportError: As `load_method`.
    """
    enhancer, level, lock = _load(name, runtime), check_level(level), threading.Lock()

    def develop(path: Path) -> Photo:
        frame = read_raw(path)
        with lock:
            pixels = enhancer.enhance(frame, level, memory=memory)
        return Photo(pixels, read_metadata(path.read_bytes()))

    return develop


def load_for_files(
    name: str | os.PathLike, runtime: str, photos: int, level: float | None, memory: int
) -> dict[str, Callable]:
    """Load a method as `lle_utils.enhancers.batch.enhance_photos` takes it.

    Args:
        name: As of `load_method`, or an enhancer that develops camera raw, which leaves nothing
            to enhance.
        runtime, photos: As of `load_method`.
        level, memory: As of `load_developer`.

    Returns:
        ``enhance`` and ``read``.

    Raises:
        FileNotFoundError, EnhancerError, ImportError, ExportError: As `load_method`.
    """
    if name not in BASELINES and is_raw(name):
        develop = load_developer(name, level, memory, runtime)
        return {"enhance": lambda photo, memory: photo, "read": develop}
    method = load_method(name, runtime, photos)
    return {"enhance": lambda photo, memory: method(photo, level, memory), "read": read_photo}


def _load(name: str | os.PathLike, runtime: str, photos: int = 1) -> Enhancer | RawEnhancer:
    runtime = _preferred(name, photos) if runtime == "auto" else runtime
    return load_enhancer(name) if runtime == "keras" else load_onnx(name, runtime)


def _preferred(name: str | os.PathLike, photos: int) -> str:
    if not onnx_paths(name) or find_spec("onnxruntime") is None:
        return "keras"
    quickest = quickest_runtimes().get(str(name), "onnx")
    worthwhile = photos >= PHOTOS_WORTH_OPENVINO and find_spec("openvino") is not None
    return quickest if worthwhile and quickest != "keras" else "onnx"
