"""A network of an ONNX file, in the place of a Keras model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lle_utils.enhancers.sessions import open_onnx, open_openvino

STATISTICS, TOLD = "statistics", "told"  # inputs of a network that sees the whole photo


class OnnxNetwork:
    """A network of an ONNX file, with the one method of a Keras model that `Enhancer` calls.

    One that sees the whole photo has two more inputs, ``statistics`` ``(1, K)`` and ``told``
    ``(1, 1)``: where ``told`` is 1 it takes its means and variances over the photo from
    ``statistics``; where it is 0 it measures them. It puts them out as a second output.

    Not to be called by several threads at once.

    Args:
        path: As written by `lle_utils.enhancers.write_onnx`.
        runtime: One of `lle_utils.enhancers.RUNTIMES` but ``keras``.

    Attributes:
        facts: What the file says about itself; nothing in OpenVINO.

    Raises:
        ImportError: If the runtime is not installed.
    """

    def __init__(self, path: str | os.PathLike, runtime: str = "onnx") -> None:
        if runtime == "onnx":
            self._session = open_onnx(Path(path))
        else:
            self._session = open_openvino(Path(path), exact=runtime == "openvino")
        self.facts = self._session.facts
        widths = self._session.widths
        self._more = [
            np.zeros((1, widths[n]), np.float32) for n in (STATISTICS, TOLD) if n in widths
        ]

    def predict_on_batch(
        self, inputs: np.ndarray | Sequence[np.ndarray]
    ) -> np.ndarray | Sequence[np.ndarray]:
        """Run the network as that of Keras: an array or a list of all inputs to the like."""
        arrays = [inputs] if isinstance(inputs, np.ndarray) else inputs
        outputs = self._session.run(*arrays, *self._more)
        return outputs[0] if self._more or len(outputs) == 1 else outputs

    def with_statistics(self, reduced: np.ndarray) -> OnnxNetwork:
        """Return the network with the statistics that it has on a reduced photo.

        Args:
            reduced: The whole photo made small, ``(h, w, 3)`` in [0, 1], of sides it accepts.

        Returns:
            A network that shares all with this one; itself when nothing in it is global.
        """
        if not self._more:
            return self
        _, statistics = self._session.run(reduced[None], *self._more)
        told = object.__new__(type(self))
        told.__dict__ |= self.__dict__ | {"_more": [statistics, np.ones((1, 1), np.float32)]}
        return told
