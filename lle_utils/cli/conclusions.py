"""What the commands for photos say: names, progress, and how it ended."""

from __future__ import annotations

from pathlib import Path


def mark_of(options) -> str:
    """Return what is added to the name of each photo."""
    from lle_utils.enhancers.targets import ENHANCED_MARK

    mark = ENHANCED_MARK if options.suffix is None else options.suffix
    return mark.replace("{method}", Path(options.method).name)


def progress(count: int):
    """Return a function that shows how far photos are."""
    from tqdm import tqdm

    return lambda done: tqdm(done, total=count, unit="photo", disable=None)


def caution_of(method: str) -> str:
    """Say what a shipped enhancer may do to a photo; nothing if it is safe or a formula."""
    from lle_utils.core.paths import data_dir
    from lle_utils.enhancers.storage import caution, list_enhancers, load_card

    if method not in list_enhancers():
        return ""
    return caution(load_card(data_dir() / "pretrained" / method))


def conclusion(
    count: int,
    word: str,
    written: list[Path],
    skipped: int,
    failed: int,
    passed_over: tuple[int, int] = (0, 0),
) -> str:
    """Say how a command ended.

    Args:
        count: Of photos.
        word: What became of them.
        written: The files of which the folders are named.
        skipped: Photos done before.
        failed: Photos that failed.
        passed_over: As of `lle_utils.enhancers.left_out`.
    """
    folders = sorted({str(path.parent) for path in written})
    said = [f"{count} {word}" + (f", in {', '.join(folders[:3])}" if folders else "")]
    if skipped:
        said.append(f"{skipped} done before (--overwrite does them again)")
    if failed:
        said.append(f"{failed} failed")
    strangers, folders_below = passed_over
    if strangers:
        said.append(f"{strangers} file{'s' * (strangers > 1)} of no known kind left out")
    if folders_below:
        folder = "subfolder" + "s" * (folders_below > 1)
        said.append(f"{folders_below} {folder} left out (--recursive takes them)")
    return "; ".join(said)
