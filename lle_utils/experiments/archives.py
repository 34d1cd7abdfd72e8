"""Archives of photos, enhanced in batches over workers of Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from lle_utils.core.addresses import is_address
from lle_utils.core.errors import require
from lle_utils.core.paths import remove_partial
from lle_utils.enhancers.archive import Ended, Work, enhance_batch
from lle_utils.experiments.cluster import connected

BATCH = 8  # photos
AHEAD = 2  # batches that each thread of a worker has been given, the one in work included
DEATHS = 3  # of workers that a batch may outlive; then its photos go one by one

Batch = list[tuple[str, str]]


def enhance_archive(
    targets: Mapping[str, str],
    work: Work,
    workers: int | None = None,
    scheduler: str = "",
    show: Callable[[Iterable], Iterable] = iter,
    say: Callable[[str], None] = lambda text: None,
) -> list[Ended]:
    """Enhance the photos of an archive that are not done yet.

    The batch of a worker that dies is done by another one, which finds what of it is done. A photo
    at which workers die again and again has failed; it does not stop the others.

    Args:
        targets: As of `lle_utils.enhancers.targets.plan_anywhere`; paths are those of a folder
            that all workers reach.
        work: How.
        workers: Processes on this machine; one for each core when None.
        scheduler: Address of a Dask scheduler in their place, such as ``tcp://host:8786``.
        show: Wraps the photos as they are ended, such as tqdm.
        say: Told the address of Dask's dashboard.

    Returns:
        What became of each photo.

    Raises:
        ExperimentError: If the scheduler cannot be reached or is lost, or a worker has other
            versions than this machine.
        EnhancerError, FileNotFoundError, ImportError: If a worker cannot load the method.
        ImportError: If Dask is not installed.
    """
    require("distributed", "remote", "An archive")
    folders = {Path(target).parent for target in targets if not is_address(target)}
    for folder in folders:
        remove_partial(folder)
    batches = _batches(iter(targets.items()))
    with connected(workers, scheduler, -(-len(targets) // BATCH), DEATHS) as client:
        say(client.dashboard_link)
        ended = list(show(_ended(client, batches, work)))
    for folder in folders:
        remove_partial(folder)  # of workers that were killed
    return ended


def _batches(pairs: Iterator[tuple[str, str]]) -> Iterator[Batch]:
    while batch := list(islice(pairs, BATCH)):
        yield batch


def _ended(client: Any, batches: Iterator[Batch], work: Work) -> Iterator[Ended]:
    """Keep the workers busy, and yield what became of each photo."""
    from distributed import KilledWorker, as_completed

    given: dict[str, Batch] = {}
    futures = as_completed()

    def give(some: Iterable[Batch]) -> None:
        for batch in some:
            future = client.submit(_in_worker, batch, work, pure=False)
            given[future.key] = batch
            futures.add(future)

    give(islice(batches, _room(client)))
    for future in futures:
        batch = given.pop(future.key)
        try:
            yield from future.result()
        except KilledWorker:
            if len(batch) > 1:
                give([pair] for pair in batch)
            else:
                yield _fatal(*batch[0])
        give(islice(batches, max(0, _room(client) - len(given))))


def _room(client: Any) -> int:
    return AHEAD * max(1, sum(client.nthreads().values()))


def _in_worker(batch: Batch, work: Work) -> list[Ended]:
    from distributed import get_worker

    # There Dask clears up behind a worker that is killed.
    return enhance_batch(batch, work, get_worker().local_directory)


def _fatal(target: str, photo: str) -> Ended:
    text = f"{photo}: {DEATHS + 1} workers died at it; is it too large for their memory?"
    return Ended(photo, target, error=text)
