"""The command that looks at the installation: doctor."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from lle_utils.cli.command import command

PACKAGE = "lle-utils"
USES = {  # of the extras, in the order in which they are told
    "": "lle enhance, lle methods",
    "metrics": "lle evaluate, lle behavior; the methods clahe, gamma_clahe and lime",
    "photos": "HEIC, camera raw and 16 bits",
    "video": "lle video",
    "completion": "lle completion",
    "serve": "the web page of lle serve",
    "train": "data sets, scores, and with one of the next three training and --runtime keras",
    "cpu": "TensorFlow without a graphics card",
    "tensorflow": "TensorFlow with one",
    "jax": "Keras on JAX",
    "notebooks": "reading and running the notebooks",
    "export": "lle export, --runtime openvino",
    "experiments": "lle experiment on several workers",
    "remote": "lle enhance over worker processes, and of s3:// addresses",
    "flip": "the metric FLIP",
    "lpips": "the metric LPIPS",
    "book": "lle book",
    "lab": "JupyterLab",
    "test": "make test",
}


def add_doctor(commands) -> None:
    """Add ``lle doctor``."""
    command(commands, "doctor", _doctor, "Say what is installed, what is missing, how to get it.")


def _doctor(options) -> int:
    import platform

    from lle_utils.core.paths import data_dir
    from lle_utils.enhancers.storage import list_enhancers

    print(f"{PACKAGE} {metadata.version(PACKAGE)}, Python {platform.python_version()}")
    print(f"{len(list_enhancers())} enhancers for photos in {data_dir() / 'pretrained'}")
    for extra, use in USES.items():
        wrong = list(_wrong(extra))
        print(f"{'lacks' if wrong else 'ok':6} {extra or 'base':12} {use}")
        if wrong:
            name = f"{PACKAGE}[{extra}]" if extra else PACKAGE
            print(f"{'':20}{', '.join(wrong)}: pip install '{name}'")
    return int(any(_wrong("")))


def _wrong(extra: str) -> Iterator[str]:
    """Name the packages that an extra asks for and that are missing or of another version."""
    from packaging.requirements import Requirement

    for text in metadata.requires(PACKAGE) or ():
        wanted = Requirement(text)
        if not _is_of(wanted.marker, extra):
            continue
        if wanted.name == PACKAGE:
            for other in sorted(wanted.extras):
                yield from _wrong(other)
        elif (found := _version(wanted.name)) is None:
            yield wanted.name
        elif not wanted.specifier.contains(found, prereleases=True):
            yield f"{wanted.name} {found} (wanted: {wanted.specifier})"


def _is_of(marker, extra: str) -> bool:
    """Tell whether a line with such a marker belongs to an extra, or to none, on this system."""
    if marker is None or marker.evaluate({"extra": ""}):
        return not extra
    return marker.evaluate({"extra": extra})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
