"""What the Keras backend is told: seeds, compilation, number formats."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import keras


class CardMemory(NamedTuple):
    """Memory of a graphics card, in bytes.

    Attributes:
        peak: The most that was in use, since `card_memory` was asked to forget it.
        limit: What this process may use.
    """

    peak: int
    limit: int


def _counts_no_traces(record: logging.LogRecord) -> bool:
    """Tell other messages of TensorFlow's from its warning of frequent tracing.

    It counts over the `predict` of all models together, so that five networks with a photo each
    look to it like one network that is traced anew for every photo.
    """
    return "triggered tf.function retracing" not in record.getMessage()


logging.getLogger("tensorflow").addFilter(_counts_no_traces)


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seed Python, NumPy and the backend.

    Args:
        seed: Non-negative integer.
        deterministic: Also make repeats bit-identical under TensorFlow: deterministic
            operations, each on one thread and one after the other. Sums over threads depend
            on their timing, and so does, after some hundred steps, in which thread a compiled
            function computes an operation; it is enough to change last bits, so functions are
            not compiled. It costs much speed, and must be asked for before TensorFlow has
            computed anything. JAX on the CPU is deterministic without it.

    Raises:
        RuntimeError: If TensorFlow is at work already.
    """
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # only TensorFlow has this switch

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.config.run_functions_eagerly(True)
    keras.utils.set_random_seed(seed)


def compile_options() -> dict:
    """Return the ``compile()`` options that suit the machine.

    XLA makes every model of this suite slower on a CPU under TensorFlow, so it is off there;
    JAX always compiles, and on a GPU Keras decides.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # asked only for its list of devices

        if not tf.config.list_physical_devices("GPU"):
            return {"jit_compile": False}
    return {}


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Give layers made in a ``with`` block a dtype policy, such as ``"mixed_float16"``.

    Args:
        name: Name of a Keras policy; the one before is put back in any case.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def card_memory(forget_peak: bool = False) -> CardMemory | None:
    """Return the memory of the first graphics card, or None where there is none.

    Args:
        forget_peak: Count the peak anew from now on; JAX cannot, and its peak is that of the
            process.
    """
    if keras.backend.backend() == "jax":
        import jax

        return _as_card(jax.local_devices()[0])
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib  # nothing public tells the limit

    if forget_peak:
        tf.config.experimental.reset_memory_stats("GPU:0")
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    devices = device_lib.list_local_devices()
    return CardMemory(peak, max(d.memory_limit for d in devices if d.device_type == "GPU"))


def _as_card(device) -> CardMemory | None:
    """Read what a device of JAX says of its memory."""
    told = device.memory_stats() if device.platform == "gpu" else None
    return told and CardMemory(told["peak_bytes_in_use"], told["bytes_limit"])
