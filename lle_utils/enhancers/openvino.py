"""Shipped enhancers in OpenVINO, converted once and kept."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lle_utils import __version__
from lle_utils.core.paths import data_dir, sha256
from lle_utils.enhancers.enhancer import Enhancer, Run
from lle_utils.enhancers.storage import MODEL_FILE, load_card, load_enhancer


class OpenVinoEnhancer(Enhancer):
    """An enhancer whose network runs in OpenVINO; statistics of large photos come from Keras."""

    @cached_property
    def in_keras(self) -> Enhancer:
        """The enhancer that this one was converted from."""
        return load_enhancer(self.name)

    @cached_property
    def bytes_per_pixel(self) -> float:
        """See `Enhancer.bytes_per_pixel`."""
        return self.in_keras.bytes_per_pixel

    def runner(self, photo: np.ndarray, working: np.ndarray, fits: bool, *more: Any) -> Run:
        """See `Enhancer.runner`."""
        if self.is_global and not fits:
            return self.in_keras.runner(photo, working, fits, *more)
        return super().runner(photo, working, fits, *more)


def load_openvino(name: str, exact: bool = True) -> OpenVinoEnhancer:
    """Load a shipped enhancer for OpenVINO; the first time it is converted, compared and kept.

    What is kept lies under ``$XDG_CACHE_HOME/lle`` (``~/.cache/lle``), by the version of the
    package and the checksum of the enhancer's weights.

    Args:
        name: The name of a shipped enhancer.
        exact: As for `lle_utils.enhancers.Exported`.

    Returns:
        The enhancer; TensorFlow is loaded only to convert it, or for large photos.

    Raises:
        FileNotFoundError, EnhancerError, ImportError, lle_utils.enhancers.ExportError: See
            `load_method`.
    """
    from lle_utils.enhancers.exported import Exported

    path = converted_path(name)
    if not path.exists():
        from lle_utils.enhancers.export import export_enhancer

        export_enhancer(load_enhancer(name), "openvino", path.parent)
    return OpenVinoEnhancer(Exported(path, exact), load_card(data_dir() / "pretrained" / name))


def converted_path(name: str) -> Path:
    """Return where the conversion of a shipped enhancer is kept, whether or not it is there.

    Raises:
        FileNotFoundError: If no such enhancer is shipped.
    """
    model = data_dir() / "pretrained" / name / MODEL_FILE
    if name != Path(name).name or not model.is_file():  # a path of one's own is not joined to ours
        raise FileNotFoundError(f"{name!r} is not shipped; only shipped enhancers run in OpenVINO.")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lle" / __version__ / sha256(model)[:16] / f"{name}_openvino"
