"""Workers of Dask: processes on this machine, or whatever an outside scheduler has."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lle_utils.core.environment import (
    CARDS_VARIABLE,
    graphics_cards,
    usable_cores,
    versions,
)
from lle_utils.experiments.values import ExperimentError

CONNECT_SECONDS = 10  # to wait for a scheduler
DEATHS = 100  # of workers that a run may outlive; Dask gives up after three


@contextmanager
def connected(
    workers: int | None, scheduler: str, count: int, deaths: int = DEATHS
) -> Iterator[Any]:
    """Connect to a scheduler, or start workers on this machine, and yield Dask's client.

    Args:
        workers: Processes on this machine; when None one for each graphics card, or without one
            for each core. Each has a card of its own, as far as there are, and its share of the
            cores, unless ``OMP_NUM_THREADS`` and its like say how many threads to use.
        scheduler: Address of a scheduler in their place.
        count: How many runs there are; no more workers are started.
        deaths: Of workers on this machine that a run may outlive; an outside scheduler has a
            number of its own.

    Raises:
        ExperimentError: If the scheduler cannot be reached or is lost, or a worker has other
            versions than this machine.
    """
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": deaths}):
        if scheduler:
            with _outside(scheduler) as client:
                yield client
        else:
            cards = graphics_cards()
            wanted = workers or len(cards) or usable_cores()
            with _here(min(wanted, count), cards) as client:
                yield client


@contextmanager
def _outside(scheduler: str) -> Iterator[Any]:
    from distributed import CancelledError, Client

    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ExperimentError(
            f"The scheduler {scheduler} cannot be reached: {error}. Is "
            "`dask scheduler` running there, and the port open?"
        ) from error
    with client:
        try:
            _check_versions(client)
            yield client
        except BaseException as error:
            lost = isinstance(error, CancelledError) or client.status != "running"
            if isinstance(error, KeyboardInterrupt) or not lost:
                raise
            # Its attempts to connect again, which end with this block, are no news.
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
            raise ExperimentError(
                f"The scheduler {scheduler} was lost. What is done is kept, and so are "
                "checkpoints: start `dask scheduler` and its workers again, then give the same "
                "command; it does the rest."
            ) from error


@contextmanager
def _here(workers: int, cards: list[str]) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    threads = str(max(1, usable_cores() // workers))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {name: os.environ.get(name, threads) for name in names}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment}),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        if cards:
            client.register_plugin(_card_plugin(cards))
        yield client


def _card_plugin(cards: list[str]) -> Any:
    """Return a plugin that gives each worker one card, before it has loaded any framework."""
    from distributed import WorkerPlugin

    class OneCard(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            # Workers of this machine are numbered; one that takes the place of another keeps it.
            os.environ[CARDS_VARIABLE] = cards[int(worker.name) % len(cards)]

    return OneCard()


def _check_versions(client: Any) -> None:
    """Refuse workers with other versions of what decides a result, by name."""
    own = versions()
    own.pop("backend", None)  # known only where Keras is at work
    for worker, theirs in client.run(versions).items():
        other = [
            f"{n} {theirs.get(n)} there, {own[n]} here" for n in own if theirs.get(n) != own[n]
        ]
        if other:
            raise ExperimentError(f"The worker {worker} has other versions: {'; '.join(other)}.")
