"""Work on a photo some rows at a time, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def on_all_cores(work: Callable[[int], object], items: Iterable[int]) -> None:
    """Call a function for each item, by a thread per core.

    It is quick where the function spends its time in NumPy or Pillow, which let other threads run,
    and on arrays that stay in the processor's cache.

    Args:
        work: Takes an item; what it makes, it writes where it belongs.
        items: What to call it with.

    Raises:
        Exception: What ``work`` raises.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(work, items):
            pass
