"""The memory of a graphics card, where there is one."""

from types import SimpleNamespace

import keras

from lle_utils.core.backend import CardMemory, _as_card, card_memory


def test_a_machine_without_a_card_has_no_memory_of_one():
    import tensorflow as tf

    card = card_memory()
    if keras.backend.backend() == "tensorflow" and tf.config.list_physical_devices("GPU"):
        assert 0 <= card.peak <= card.limit
    else:
        assert card is None


def test_what_a_device_of_jax_says():
    stats = {"peak_bytes_in_use": 3, "bytes_limit": 8, "bytes_in_use": 2}
    card = SimpleNamespace(platform="gpu", memory_stats=lambda: stats)
    assert _as_card(card) == CardMemory(3, 8)
    silent = SimpleNamespace(platform="gpu", memory_stats=lambda: None)
    processor = SimpleNamespace(platform="cpu", memory_stats=lambda: stats)
    assert _as_card(silent) is None
    assert _as_card(processor) is None
