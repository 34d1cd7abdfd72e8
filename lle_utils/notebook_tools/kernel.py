"""The Jupyter kernel that notebooks run in: this very interpreter."""

from __future__ import annotations

import os
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from traitlets import default

# Training frees and takes the same large arrays at every step. Told to keep them, the GNU C
# library saves the kernel's work on each; a step of Zero-DCE on two cores is a quarter shorter.
TRAINING_ENVIRONMENT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
# TensorFlow uses oneDNN on its own only where a processor has instructions for neural networks;
# its gradients of convolutions are faster elsewhere too (MIRNet: 0.42 s a step, not 0.66 s).
TRAINING_ENVIRONMENT |= {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}


# What libraries in C++ print past Python (TensorFlow, oneDNN, converters) is no part of a result,
# and no setting of theirs silences all of it. Python's own warnings still reach the notebook.
UNCAPTURED = "--IPKernelApp.capture_fd_output=False"


class ThisInterpreter(AsyncKernelManager):
    """Start the running Python, whichever kernels named ``python3`` are installed elsewhere."""

    native_log: str | os.PathLike = os.devnull  # takes what C++ libraries print, see `logging_to`

    async def start_kernel(self, **options) -> None:
        """Start the kernel, its file descriptors 1 and 2 pointing to the log."""
        with open(self.native_log, "ab") as log:
            await super().start_kernel(stdout=log, stderr=log, **options)

    @default("transport_encryption")
    def _encrypt_if_both_ends_can(self) -> str:
        return "auto"  # otherwise newer kernels begin every run with a warning

    @property
    def kernel_spec(self) -> KernelSpec:
        """The only kernel there is: this Python, with inline figures and a quiet TensorFlow."""
        own = get_kernel_dict()
        return KernelSpec(
            argv=[*own["argv"], UNCAPTURED],
            metadata=own["metadata"],
            display_name="Python 3",
            language="python",
            env={
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # two notebooks may share a card
                **TRAINING_ENVIRONMENT,
            },
        )


def logging_to(path: Path) -> type[ThisInterpreter]:
    """Return a kernel manager whose kernels write what C++ libraries print to a file.

    Args:
        path: The file; it is emptied.
    """
    path.write_bytes(b"")
    return type("LoggingInterpreter", (ThisInterpreter,), {"native_log": path})
