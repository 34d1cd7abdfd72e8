"""A process that enhances photos for the web page, one at a time, and can be stopped.

Decoding a stranger's file and running a network on it happen in a process of their own: what
takes too long is ended with it, and what crashes it does not crash the server.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from io import BytesIO
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from lle_utils.serving.limits import ANSWER_QUALITY, MAX_RETRY_SECONDS

POLL_SECONDS = 0.1  # between two looks whether a client is still there
GRACE_SECONDS = 2.0  # for a photo that nobody waits for any more
START_SECONDS = 60  # what a new process may need to get ready, beside the time for a photo


class BusyError(Exception):
    """Too many photos are waiting."""


class TooSlowError(Exception):
    """A photo took longer than allowed; its process was ended."""


class CrashError(Exception):
    """The process ended while it worked on a photo, most likely for lack of memory."""


class CancelledError(Exception):
    """Nobody waits for the photo any more."""


class Job(NamedTuple):
    """What to do with a photo.

    Attributes:
        content: The bytes of the photo's file.
        method: The name of an enhancer or a baseline; None to decode the photo and no more, which
            tells whether it will be taken.
        level: Mean brightness of the result, or None to leave it to the method.
        kind: The format to answer in: ``jpeg``, ``png`` or ``webp``.
    """

    content: bytes
    method: str | None
    level: float | None
    kind: str


class Worker:
    """A worker process behind a queue of limited length.

    Args:
        waiting: How many photos may wait while one is worked on.
        seconds: How long one photo may take.
        warm_up: A method to load at the start.
        start_seconds: How much longer it may take while the process is new.

    Attributes:
        process: The process, a new one after each restart.
        restarts: How often it was restarted.
    """

    def __init__(
        self, waiting: int, seconds: float, warm_up: str, start_seconds: float = START_SECONDS
    ) -> None:
        self.waiting, self.seconds, self.warm_up = waiting, seconds, warm_up
        self.start_seconds = start_seconds
        self.restarts = 0
        self._typical = 1.0  # seconds per photo, a moving average
        self._places = threading.BoundedSemaphore(waiting + 1)
        self._turn = threading.Lock()
        self._count = 0
        self._counting = threading.Lock()
        self._start()

    @property
    def queued(self) -> int:
        """The number of photos in the queue, with the one that is worked on."""
        return self._count

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.is_alive()

    @property
    def retry_seconds(self) -> int:
        """How long a client that is sent away should wait: what the queue will take."""
        seconds = math.ceil(self._typical * max(self._count, 1))
        return min(max(seconds, 1), MAX_RETRY_SECONDS)

    def run(self, job: Job, is_cancelled: Callable[[], bool] = lambda: False) -> bytes:
        """Enhance one photo; wait for those that came before.

        Args:
            job: What to do.
            is_cancelled: Asked again and again while the photo waits or is worked on. What is
                cancelled in the queue leaves it. What is worked on may end by itself for
                `GRACE_SECONDS`, less than a new process costs; then its process is ended.

        Returns:
            The bytes of the result's file; none for a job without a method.

        Raises:
            CancelledError: If it was cancelled.
            BusyError: If the queue is full, or the turn does not come within the time limit.
            TooSlowError: If the photo takes longer than the limit.
            CrashError: If the process ends while it works on it.
            ValueError: If the photo is damaged.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        self._add(1)
        try:
            self._await_turn(is_cancelled)
            try:
                return self._ask(job, is_cancelled)
            finally:
                self._turn.release()
        finally:
            self._add(-1)
            self._places.release()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def _add(self, number: int) -> None:
        with self._counting:
            self._count += number

    def _await_turn(self, is_cancelled: Callable[[], bool]) -> None:
        end = time.monotonic() + self.seconds
        while not self._turn.acquire(timeout=POLL_SECONDS):
            if is_cancelled():
                raise CancelledError
            if time.monotonic() > end:
                raise BusyError

    def _await_answer(self, is_cancelled: Callable[[], bool]) -> None:
        end, left = time.monotonic() + self.seconds + self._head_start(), None
        while not self._pipe.poll(POLL_SECONDS):
            now = time.monotonic()
            if left is None and is_cancelled():
                left = now
            if left is not None and now > left + GRACE_SECONDS + self._head_start():
                self._restart()
                raise CancelledError
            if now > end:
                self._restart()
                raise TooSlowError

    def _ask(self, job: Job, is_cancelled: Callable[[], bool]) -> bytes:
        started = time.monotonic()
        try:
            self._pipe.send(job)
            self._await_answer(is_cancelled)
            good, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._restart()
            raise CrashError from error
        self._typical = 0.9 * self._typical + 0.1 * (time.monotonic() - started)
        if not good:
            raise ValueError(answer)
        return answer

    def _head_start(self) -> float:
        """Return how many seconds a process that was just started may still need to get ready."""
        return max(0.0, self._born + self.start_seconds - time.monotonic())

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads of networks do not survive a fork
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self.warm_up), daemon=True)
        self.process.start()
        theirs.close()
        self._born = time.monotonic()

    def _restart(self) -> None:
        self.close()
        self.restarts += 1
        self._start()


def _work(pipe: Connection, warm_up: str) -> None:
    """Answer jobs until the server goes away."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    methods: dict = {}
    _load(methods, warm_up)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(_answer(job, methods))


def _answer(job: Job, methods: dict) -> tuple[bool, bytes | str]:
    from lle_utils.core.images import decode_uint8

    try:
        low = decode_uint8(job.content, "The photo")
    except Exception as error:  # decoders raise anything at all for bytes made to confuse them
        kind = type(error).__module__.startswith("lle_")
        return False, str(error) if kind else "The photo is damaged or of an unusual kind."
    if job.method is None:
        return True, b""
    enhanced = _load(methods, job.method)(low, job.level)
    return True, _encode(enhanced, job.kind, _profile(job.content))


def _load(methods: dict, name: str):
    """Return a method, loaded once."""
    from lle_utils.enhancers.factory import load_method

    if name not in methods:
        methods[name] = load_method(name)
    return methods[name]


def _encode(image: np.ndarray, kind: str, profile: bytes | None) -> bytes:
    from PIL import Image

    from lle_utils.core.images import PNG_LEVEL

    file = BytesIO()
    options = {"quality": ANSWER_QUALITY, "icc_profile": profile, "compress_level": PNG_LEVEL}
    Image.fromarray(image).save(file, kind.upper(), **options)
    return file.getvalue()


def _profile(content: bytes) -> bytes | None:
    """Return the colour profile of an RGB photo; nothing else of its metadata is kept."""
    from PIL import Image

    with Image.open(BytesIO(content)) as picture:
        return picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA") else None
