"""What an export says about itself: its inputs, in words, and an example beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lle_utils.enhancers.enhancer import WORKING_SIDE, Enhancer
from lle_utils.enhancers.onnx_file import about
from lle_utils.enhancers.strength import parts_of

PHOTO = "float32 (batch, height, width, 3), RGB, values in [0, 1], of any height and width"
EXAMPLE = '''"""Enhance a photo with {file}: python {script} dark.jpg bright.png

It gives what `lle enhance` gives for sides of up to {side} pixels, which decides the brightness
and colours of larger photos at that size.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(Path(__file__).with_name("{file}"))
photo = np.asarray(ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB"))
inputs = {{"low": photo[None] / np.float32(255)}}
{more}enhanced = session.run(None, inputs)[0][0]
Image.fromarray((255 * enhanced).round().astype(np.uint8)).save(sys.argv[2])
'''


class Input(NamedTuple):
    """What an export takes beside photos: ``(N, width)``, for each photo a row.

    Attributes:
        name: Of the input.
        width: Of a row.
        usual: The value that fills the row of whoever asks for nothing.
        meaning: What it is, with its range.
    """

    name: str
    width: int
    usual: int
    meaning: str


def more_inputs(enhancer: Enhancer) -> list[Input]:
    """Return what the export of an enhancer takes beside photos, by the alphabet."""
    if enhancer.has_gain:
        return [Input("level", 1, 0, "mean of the result, in (0, 1); 0: what suits the photo")]
    if not enhancer.has_strength:
        return []
    width = parts_of(enhancer.model).mean.shape[-1]
    of_other = "brightness of a photo to resemble; zeros: of well-lit photos"
    strength = "0: the photo itself, 1: the usual strength, more is brighter"
    return [Input("reference", width, 0, of_other), Input("strength", 1, 1, strength)]


def usual_inputs(enhancer: Enhancer) -> list[np.ndarray]:
    """Return what the export of an enhancer takes beside a single photo, unasked."""
    return [np.full((1, i.width), i.usual, np.float32) for i in more_inputs(enhancer)]


def outputs(enhancer: Enhancer) -> dict[str, str]:
    """Return the names and meanings of what the export of an enhancer gives."""
    found = {"enhanced": PHOTO}
    if enhancer.has_strength:
        found["brightness"] = "that of the photo, which can be the reference of another"
    return found


def facts(enhancer: Enhancer) -> dict[str, str]:
    """Return what the ONNX file of an export says about itself, by name; all of it is text."""
    inputs = {"low": f"dark photo: {PHOTO}"}
    inputs |= {i.name: f"float32 (batch, {i.width}); {i.meaning}" for i in more_inputs(enhancer)}
    described = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs(enhancer))}
    return about(enhancer.card) | described


def example_path(path: Path) -> Path:
    """Return where the example of ``NAME.onnx`` is written: ``NAME_example.py`` beside it."""
    return path.with_name(f"{path.stem}_example.py")


def write_example(enhancer: Enhancer, path: Path) -> None:
    """Write a program that enhances a photo with an ONNX file, in need of nothing of ours.

    Args:
        enhancer: What was exported.
        path: The ONNX file; the program is written beside it.
    """
    script = example_path(path)
    lines = [
        f'# {i.meaning}\ninputs["{i.name}"] = np.full((1, {i.width}), {i.usual}, np.float32)\n'
        for i in more_inputs(enhancer)
    ]
    text = EXAMPLE.format(
        file=path.name, script=script.name, side=WORKING_SIDE, more="".join(lines)
    )
    script.write_text(text, encoding="utf-8")
