"""The Jupyter kernel that notebooks run in: this very interpreter."""

from __future__ import annotations

import os

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from traitlets import default


class ThisInterpreter(AsyncKernelManager):
    """Start the running Python, whichever kernels named ``python3`` are installed elsewhere."""

    @default("transport_encryption")
    def _encrypt_if_both_ends_can(self) -> str:
        return "auto"  # otherwise newer kernels begin every run with a warning

    @property
    def kernel_spec(self) -> KernelSpec:
        """The only kernel there is: this Python, with inline figures and a quiet TensorFlow."""
        own = get_kernel_dict()
        return KernelSpec(
            argv=own["argv"],
            metadata=own["metadata"],
            display_name="Python 3",
            language="python",
            env={
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
            },
        )
