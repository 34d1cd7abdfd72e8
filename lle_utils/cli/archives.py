"""`lle enhance` over worker processes, and of photos at addresses."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import complain
from lle_utils.cli.conclusions import caution_of, conclusion, mark_of, progress
from lle_utils.cli.streams import STREAM

AT_ONCE = 2  # photos in a process: one is enhanced while another is on its way


def is_archive(options) -> bool:
    """Tell whether worker processes are asked for, or needed for an address."""
    from lle_utils.core.addresses import is_address

    places = [*options.photos, options.output]
    return bool(options.scheduler or options.processes or any(map(is_address, places)))


def enhance_archived(options, memory: int, kinds, settings: str) -> int:
    """Enhance photos over worker processes.

    Args:
        options: Of `lle enhance`.
        memory: Bytes that a process may hold.
        kinds: Suffixes of what is taken from folders.
        settings: What is noted in results.

    Returns:
        The exit status.
    """
    from lle_utils.experiments.archives import enhance_archive

    if STREAM in (*options.photos, str(options.output)):
        return complain("- stands for a stream of this process; workers have no part in it.")
    targets = _targets(options, kinds)
    if options.dry_run:
        for target, photo in targets.items():
            print(f"{photo} -> {target}")
        print(f"{len(targets)} would be enhanced, but for those that are done")
        return 0
    ended = enhance_archive(
        targets,
        _work(options, memory, settings, len(targets)),
        options.processes,
        options.scheduler,
        show=progress(len(targets)),
        say=lambda address: print(f"Dask's dashboard: {address}"),
    )
    errors = [photo.error for photo in ended if photo.error]
    for reason in errors:
        complain(reason)
    written = sum(photo.written for photo in ended)
    skipped = len(ended) - written - len(errors)
    print(conclusion(written, "enhanced", [], skipped, len(errors)))
    if written and (warning := caution_of(options.method)):
        print(warning)
    return int(bool(errors))


def _targets(options, kinds) -> dict[str, str]:
    """Map each target to its photo.

    Raises:
        ImageError: If the output is no folder.
    """
    from lle_utils.core.images import ImageError
    from lle_utils.core.photo_formats import WRITABLE
    from lle_utils.enhancers.targets import Naming, plan_anywhere

    output = options.output and str(options.output)
    if output and Path(output).suffix.lower() in WRITABLE and not Path(output).is_dir():
        raise ImageError(f"{output} is one file; name a folder or address that results go to.")
    naming = Naming(None, mark_of(options), options.format and f".{options.format}")
    return plan_anywhere(options.photos, output, naming, kinds, options.recursive)


def _work(options, memory: int, settings: str, photos: int):
    from lle_utils.enhancers.archive import Work
    from lle_utils.enhancers.classical import BASELINES

    method = options.method
    if method not in BASELINES and Path(method).exists():
        method = str(Path(method).resolve())  # workers are elsewhere
    return Work(
        method=method,
        settings=settings,
        photos=photos,
        level=options.level,
        runtime=options.runtime,
        memory=memory,
        quality=options.quality,
        at_once=options.workers or AT_ONCE,
        overwrite=options.overwrite,
    )
