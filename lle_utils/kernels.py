"""The Jupyter kernel that notebooks run in: this very interpreter."""

from __future__ import annotations

import os
import sys

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


class ThisInterpreter(AsyncKernelManager):
    """Start the running Python, whichever kernels named ``python3`` are installed elsewhere."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The only kernel there is: this Python, with inline figures and a quiet TensorFlow."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            env={
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
            },
        )
