"""One training on several devices: each computes the gradients of a part of every batch (JAX).

The weights are the same on every device, and so is the step: gradients are averaged over the
whole batch, as on one device, but for the order of the sum. Sources: Goyal et al., *Accurate,
Large Minibatch SGD*, arXiv 1706.02677, section 2.3 (the gradient is that of the whole batch), and
``keras.distribution.DataParallel``, which does the work. Unlike there, batches do not grow with
the number of devices, so that a training with more of them is the same training.
"""

from __future__ import annotations

import os

import keras
import numpy as np

from lle_utils.core.environment import DEVICES_VARIABLE

JOB_VARIABLE = "KERAS_DISTRIBUTION_JOB_ADDRESSES"  # as Keras calls it


class DeviceError(ValueError):
    """Devices that are not there, or a batch that they cannot share."""


def use_devices(count: int) -> None:
    """Share every batch of the trainings to come between devices; call it before any computation.

    Without a graphics card the processor plays ``count`` devices: no quicker, but a trial. Where
    the variables of ``keras.distribution.initialize`` are set, so many devices of each process
    are taken, and this waits for the others.

    Args:
        count: Devices of this process.

    Raises:
        DeviceError: If there are fewer, or Keras runs on another backend than JAX.
    """
    if count < 1:
        raise DeviceError(f"{count} devices; expected 1 or more.")
    if keras.backend.backend() != "jax":
        raise DeviceError(
            f"Several devices need Keras on JAX, and it runs on {keras.backend.backend()}. Set "
            "KERAS_BACKEND=jax before Python starts."
        )
    import jax

    _play_devices(count)
    if os.environ.get(JOB_VARIABLE):
        keras.distribution.initialize()
    if len(jax.local_devices()) < count:
        found = ", ".join(map(str, jax.local_devices()))
        raise DeviceError(
            f"{count} devices, and JAX finds {len(jax.local_devices())}: {found}. Ask for no "
            "more, and before anything is computed."
        )
    names = [
        f"{device.platform}:{device.id}"
        for process in range(jax.process_count())
        for device in [d for d in jax.devices() if d.process_index == process][:count]
    ]
    shared = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
    keras.distribution.set_distribution(shared)
    print(f"Every batch is shared by {len(names)} devices: {', '.join(names)}")


def _play_devices(count: int) -> None:
    """Let the processor be so many devices, where there is no graphics card.

    A device that waits for the others' gradients holds a thread of XLA's pool, and what it waits
    for needs one too: with as many threads as cores, and steps begun before the last has ended,
    all may wait for ever.
    """
    import jax

    os.environ.setdefault("NPROC", str(4 * count))  # XLA reads here how many threads to make
    try:
        jax.config.update("jax_num_cpu_devices", count)
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    except RuntimeError:  # JAX is at work; whether its devices suffice is seen afterwards
        pass


def use_chosen_devices() -> None:
    """Do as `use_devices` if the variable ``LLE_DEVICES`` holds a number, else nothing."""
    text = os.environ.get(DEVICES_VARIABLE, "")
    if text and not text.isdecimal():
        raise DeviceError(f"{DEVICES_VARIABLE} is {text!r}; expected a number, such as 2.")
    if text:
        use_devices(int(text))


def device_count() -> int:
    """Return how many devices share a batch, those of all processes together."""
    shared = keras.distribution.distribution()
    return shared.device_mesh.devices.size if shared else 1


def own_part(stream: keras.utils.PyDataset) -> keras.utils.PyDataset:
    """Return what this process gives to ``fit``: all of every batch, if it works alone.

    Args:
        stream: With the attribute ``batch_size``; its batches must be the same in each process.

    Raises:
        DeviceError: If its batches cannot be cut into equal parts.
    """
    if stream.batch_size % device_count():
        raise DeviceError(
            f"A batch of {stream.batch_size} cannot be shared by {device_count()} devices. Choose "
            "sizes that divide by it in `stages` or `batch_size`, or fewer devices."
        )
    return stream if _processes() == 1 else _Part(stream)


class _Part(keras.utils.PyDataset):
    """The rows of every batch that fall to this process."""

    def __init__(self, stream: keras.utils.PyDataset) -> None:
        super().__init__()
        self._stream = stream

    def __len__(self) -> int:
        return len(self._stream)

    def __getitem__(self, index: int):
        import jax

        rows = self._stream.batch_size // _processes()
        mine = slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)
        return keras.tree.map_structure(lambda part: part[mine], self._stream[index])

    def on_epoch_begin(self) -> None:
        self._stream.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._stream.on_epoch_end()


def _processes() -> int:
    """Return how many processes train together."""
    if keras.distribution.distribution() is None:
        return 1
    import jax

    return jax.process_count()


def check_alike(finished: int) -> None:
    """Check that all processes of a training go on from one and the same epoch.

    Args:
        finished: Epochs that this process has in its checkpoint.

    Raises:
        DeviceError: If another one has more or fewer; together they would wait for ever.
    """
    if _processes() == 1:
        return
    from jax.experimental import multihost_utils

    told = np.ravel(multihost_utils.process_allgather(np.array(finished))).tolist()
    if len(set(told)) > 1:
        raise DeviceError(
            f"The processes have finished {told} epochs. Copy the checkpoint of one of them to "
            "the folders of the others, and start all again."
        )
