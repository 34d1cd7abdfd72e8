"""Standard input and output in the place of photo files."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

STREAM = "-"  # the word for standard input or output
SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}  # of Pillow's formats; else its name


@contextlib.contextmanager
def standard_streams(options: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """Let ``-`` stand for standard input as the photo, and for standard output as the output.

    Without an output, what comes from standard input goes to standard output. All that the command
    says then goes to standard error.

    Args:
        options: With ``photos``, ``output`` and ``format``, as `lle enhance` has them.

    Yields:
        The options, with files in the place of the streams, and ``streams`` then.

    Raises:
        ImageError: If standard input holds no photo, or a stream is to take several.
    """
    from lle_utils.core.images import ImageError
    from lle_utils.enhancers.targets import Naming

    reads = STREAM in options.photos
    writes = str(options.output) == STREAM or (reads and options.output is None)
    if not (reads or writes):
        yield options
        return
    if len(options.photos) > 1:
        raise ImageError(f"- stands for one photo, but there are {len(options.photos)}.")
    with tempfile.TemporaryDirectory() as folder:
        files = argparse.Namespace(**vars(options), streams=True)
        if reads:
            files.photos = [str(_from_input(Path(folder)))]
        if writes:
            naming = Naming(Path(folder), "_output", files.format and f".{files.format}")
            files.output = naming.target(Path(files.photos[0]), Path())
        with contextlib.redirect_stdout(sys.stderr) if writes else contextlib.nullcontext():
            yield files
        if writes and files.output.is_file():
            sys.stdout.buffer.write(files.output.read_bytes())
            sys.stdout.buffer.flush()


def _from_input(folder: Path) -> Path:
    """Write what standard input holds to a file whose suffix is that of its format."""
    from PIL import Image, UnidentifiedImageError

    from lle_utils.core.images import ImageError

    content = sys.stdin.buffer.read()
    try:
        if content[4:8] == b"ftyp":  # HEIF, which Pillow cannot name without its plug-in
            suffix = ".heic"
        else:
            with Image.open(io.BytesIO(content)) as image:
                suffix = SUFFIX_OF.get(image.format, f".{image.format.lower()}")
    except UnidentifiedImageError:
        raise ImageError(
            f"Standard input ({len(content)} bytes) holds no photo; expected JPEG, PNG, WebP, "
            "TIFF, BMP or HEIC. Camera raw has to be a file."
        ) from None
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    return path
