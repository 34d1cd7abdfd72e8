"""The order of lightness, what an eye sees, and distances in the features of networks."""

from __future__ import annotations

import functools
import os
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np

from lle_utils.metrics.pixelwise import rounded_pair

ALEXNET_VARIABLE = "LLE_ALEXNET"  # names a file with torchvision's weights of AlexNet


def loe(enhanced: np.ndarray, low: np.ndarray) -> float:
    """Count how many pixels change their lightness order with a pixel (naturalness).

    Lightness is the largest of R, G, B, taken at a 50x50 grid. For each grid point the
    others whose relation "at least as light as" differs between the images are counted.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        low: The low-light image it was made from (not the reference).

    Returns:
        Mean count, 0 to 2,500, lower is better; 0 when lightness order is kept.

    Reference:
        Wang et al., "Naturalness preserved enhancement algorithm for non-uniform
        illumination images", IEEE Transactions on Image Processing 22(9), 2013, eq. 1-4.

    Deviation:
        The grid is always 50x50; the original keeps the aspect ratio.

    >>> ramp = np.arange(100.0).reshape(10, 10, 1).repeat(3, axis=2) / 255
    >>> loe(ramp * 2, ramp), loe(1 - ramp, ramp)  # kept; reversed, except with itself
    (0.0, 99.0)
    """
    enhanced, low = rounded_pair(enhanced, low, "low")
    rows, columns = (np.linspace(0, size - 1, min(size, 50)).round() for size in low.shape[:2])
    grid = np.ix_(rows.astype(int), columns.astype(int))
    before, after = (image.max(axis=-1)[grid].ravel() for image in (low, enhanced))
    changed = (before[:, None] >= before) ^ (after[:, None] >= after)
    return float(changed.sum(axis=1).mean())


def available() -> list[str]:
    """Name those of FLIP and LPIPS that can be computed here without a download."""
    found = ["flip"] if find_spec("flip_evaluator") else []
    return [*found, "lpips"] if find_spec("lpips") and os.environ.get(ALEXNET_VARIABLE) else found


def flip(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute FLIP, how different two images look when one flips to the other, with its authors'.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Mean over the pixels, 0 (equal) to 1, lower is better; at 67 pixels per degree, which is
        a monitor of 0.7 m and 3840 pixels seen from 0.7 m.

    Raises:
        ImportError: If the optional library is not installed.

    Reference:
        Andersson et al., "FLIP: A difference evaluator for alternating images", Proceedings of
        the ACM on Computer Graphics and Interactive Techniques 3(2), 2020.
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    try:
        import flip_evaluator
    except ImportError as error:
        raise ImportError(
            f"FLIP needs an optional library ({error}). Install it: pip install lle-utils[flip]"
        ) from error
    images = (image.astype(np.float32) for image in (reference, enhanced))
    return float(flip_evaluator.evaluate(*images, "LDR", applyMagma=False)[1])


def lpips(enhanced: np.ndarray, reference: np.ndarray) -> float:
    """Compute LPIPS (AlexNet, version 0.1) with the library of its authors.

    Args:
        enhanced: Image ``(H, W, 3)``, float in [0, 1].
        reference: The well-lit photo, same shape and range.

    Returns:
        Distance, lower is better, 0 for equal images.

    Raises:
        ImportError: If the optional library is not installed.
        FileNotFoundError, ValueError: If ``LLE_ALEXNET`` names no file with AlexNet's weights.
        RuntimeError: If that is not set, and the weights are neither cached nor downloadable.

    Reference:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual
        metric", CVPR 2018.
    """
    enhanced, reference = rounded_pair(enhanced, reference)
    model, torch = _lpips_model()
    planes = (image.transpose(2, 0, 1)[None] * 2 - 1 for image in (enhanced, reference))
    with torch.no_grad():
        distance = model(*(torch.from_numpy(plane.astype(np.float32)) for plane in planes))
    return float(distance)


@functools.cache
def _lpips_model():
    try:
        import lpips as library
        import torch
    except ImportError as error:
        raise ImportError(
            f"LPIPS needs an optional library ({error}). Install it: pip install lle-utils[lpips]"
        ) from error
    file = os.environ.get(ALEXNET_VARIABLE)
    options = {"net": "alex", "version": "0.1", "verbose": False}
    try:
        with warnings.catch_warnings():  # it calls torchvision by names that are to go
            warnings.simplefilter("ignore", UserWarning)
            model = library.LPIPS(pnet_rand=bool(file), **options).eval()
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"LPIPS could not get its AlexNet weights: {error}. They are downloaded once by "
            f"torchvision; connect to the internet, or set {ALEXNET_VARIABLE} to the file."
        ) from error
    if file:
        _fill_alexnet(model.net, _read_alexnet(file, torch))
    return model, torch


def _read_alexnet(file: str, torch: Any) -> dict:
    if not os.path.isfile(file):
        raise FileNotFoundError(f"{ALEXNET_VARIABLE} is {file}; there is no such file.")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, by what the file is
        raise ValueError(f"{file} holds no weights of PyTorch: {error}") from error


def _fill_alexnet(network: Any, weights: dict) -> None:
    """Fill LPIPS' slices of AlexNet, ``slice2.3.bias``, from torchvision's ``features.3.bias``."""
    wanted = {key: key.replace(key.split(".")[0], "features", 1) for key in network.state_dict()}
    if missing := sorted(set(wanted.values()) - set(weights)):
        raise ValueError(
            f"{os.environ[ALEXNET_VARIABLE]} lacks {missing[0]}; expected torchvision's AlexNet."
        )
    network.load_state_dict({key: weights[name] for key, name in wanted.items()})
