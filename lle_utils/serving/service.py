"""What the requests share: limits, methods, the worker and the counters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock

from lle_utils.core.paths import data_dir
from lle_utils.enhancers import DEFAULT_METHOD
from lle_utils.enhancers.classical import BASELINES
from lle_utils.enhancers.storage import caution, list_enhancers, load_card
from lle_utils.serving.limits import Limits
from lle_utils.serving.worker import Worker


def offered_methods() -> list[dict]:
    """List what the page offers, the default first: name, title, if it is trained, a caution."""
    found = []
    for name in list_enhancers():
        card = load_card(data_dir() / "pretrained" / name)
        told = {"title": card["method"], "trained": True, "caution": caution(card)}
        found.append({"name": name, **told})
    for name in BASELINES:
        if name != "input":
            title = name.replace("_", " ")
            found.append({"name": name, "title": title, "trained": False, "caution": ""})
    return sorted(found, key=lambda method: method["name"] != DEFAULT_METHOD)


class Counters:
    """Count answers and the time for photos; many threads may count at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: Counter[int] = Counter()
        self._photos, self._seconds = 0, 0.0

    def add_answer(self, code: int) -> None:
        """Count an answer of this HTTP status."""
        with self._lock:
            self._answers[code] += 1

    def add_photo(self, seconds: float) -> None:
        """Count a photo that took so long, its wait included."""
        with self._lock:
            self._photos += 1
            self._seconds += seconds

    def text(self, worker: Worker) -> str:
        """Write the counters and the state of the worker in the text format of Prometheus."""
        with self._lock:
            answers = sorted(self._answers.items())
            photos, seconds = self._photos, self._seconds
        lines = ["# TYPE lle_enhance_requests_total counter"]
        lines += [f'lle_enhance_requests_total{{code="{code}"}} {n}' for code, n in answers]
        values = {
            "lle_enhance_seconds_sum counter": round(seconds, 3),
            "lle_enhance_seconds_count counter": photos,
            "lle_queue_length gauge": worker.queued,
            "lle_queue_limit gauge": worker.waiting + 1,
            "lle_worker_restarts_total counter": worker.restarts,
        }
        for name, value in values.items():
            lines += [f"# TYPE {name}", f"{name.split()[0]} {value}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Service:
    """The state of an application.

    Attributes:
        limits: What it takes on.
        methods: As from `offered_methods`.
        worker: The process that enhances photos.
        counters: What ``/metrics`` shows.
    """

    limits: Limits
    methods: list[dict]
    worker: Worker
    counters: Counters
