"""A synthetic camera that delivers raw frames: photons, electrons, a mosaic, 14 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lle_utils.core.exposure import srgb_to_linear
from lle_utils.core.images import check_image
from lle_utils.data.raw import RawFrame
from lle_utils.data.synthetic import log_uniform

# Of a Canon EOS Kiss X4, as its DNG states it.
MATRIX = ((1.818, -0.964, 0.146), (-0.229, 1.774, -0.545), (-0.020, -0.468, 1.488))


@dataclass(frozen=True)
class RawCamera:
    """A sensor and its electronics.

    The numbers of electrons are those of a real camera, a Canon EOS Kiss X4 with 14 bits: in its
    photo of a colour chart, the variance of flat patches rises with their mean by 1.92 levels per
    level, from 104 squared levels in the dark (a line through quantiles of blocks of 16x16).
    Variance over mean is the gain in levels per electron, so white is ``(15000 - 2056) / 1.92``
    electrons and the read noise ``sqrt(104) / 1.92`` of them. Means of the rows of its covered
    margin deviate by 1.9 levels more than single pixels explain.

    Attributes:
        electrons: Of a pixel at the white level.
        read_noise: Of each pixel, standard deviation in electrons.
        row_noise: Of each row of the sensor, likewise.
        black, white: Levels without light and at which values are cut off.
        gains: White balance of red, green and blue; green's is 1.
        matrix: From balanced camera colours to linear sRGB, rows that add up to 1.

    Reference:
        Wei et al., A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising,
        CVPR 2020 (shot, read, row and quantization noise; here without their heavy tails).
    """

    electrons: float = 6740.0
    read_noise: float = 5.3
    row_noise: float = 1.0
    black: int = 2056
    white: int = 15000
    gains: tuple[float, float, float] = (2.48, 1.0, 1.46)
    matrix: tuple = MATRIX

    def __post_init__(self) -> None:
        """Refuse values that no camera has."""
        if not self.electrons > 0 or min(self.read_noise, self.row_noise) < 0:
            raise ValueError(
                f"electrons={self.electrons}, read_noise={self.read_noise}, "
                f"row_noise={self.row_noise}: expected electrons above 0 and noise of 0 or more."
            )
        if not 0 <= self.black < self.white:
            raise ValueError(f"black={self.black}, white={self.white}: expected black below white.")
        if len(self.gains) != 3 or min(self.gains) < 1:
            raise ValueError(f"gains is {self.gains}; expected 3 numbers of 1 or more.")

    def shoot(
        self, photo: np.ndarray, ratio: float = 1.0, seed: int | np.random.Generator = 0
    ) -> RawFrame:
        """Take a well-lit photo again as a raw frame.

        The photo is turned back into light and into the colours of the camera, white balance is
        undone, each pixel keeps one colour, and the rest is counting.

        Args:
            photo: Float image ``(H, W, 3)`` in [0, 1], sRGB; an odd last row or column is left out.
            ratio: Exposure ratio: how many times shorter the exposure is than that of the photo.
            seed: Of the noise; a seed, or a generator to draw from.

        Returns:
            The frame, ``(H // 2, W // 2, 4)``.

        Reference:
            Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019, without the
            inversion of a tone curve.
        """
        if not ratio > 0:
            raise ValueError(f"ratio is {ratio}; expected a number above 0.")
        rng = np.random.default_rng(seed)
        light = srgb_to_linear(check_image(photo)) @ np.linalg.inv(self.matrix).T
        light = np.clip(light, 0, 1) / self.gains
        collected = rng.poisson(mosaic(light) * (self.electrons / ratio)).astype(np.float64)
        collected += rng.normal(0, self.read_noise, collected.shape)
        rows = rng.normal(0, self.row_noise, (2, len(collected), 1, 1))
        collected[..., :2] += rows[0]
        collected[..., 2:] += rows[1]
        return self._digitized(collected)

    def _digitized(self, electrons: np.ndarray) -> RawFrame:
        levels = self.white - self.black
        values = np.rint(electrons * (levels / self.electrons) + self.black)
        planes = (np.clip(values, 0, self.white) - self.black) / levels
        return RawFrame(planes.astype(np.float32), self.gains, np.array(self.matrix))


def mosaic(image: np.ndarray) -> np.ndarray:
    """Keep one colour of each pixel, as a Bayer filter does.

    Args:
        image: ``(H, W, 3)``; an odd last row or column is left out.

    Returns:
        ``(H // 2, W // 2, 4)``: red, green, green and blue of each cell.
    """
    image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
    corners = (image[0::2, 0::2, 0], image[0::2, 1::2, 1], image[1::2, 0::2, 1], image[1::2, 1::2])
    return np.stack([*corners[:3], corners[3][..., 2]], -1)


def random_raw_camera(seed: int | np.random.Generator = 0) -> RawCamera:
    """Draw a camera to train with: sensors, light and colour filters that differ.

    Args:
        seed: A seed, or a generator to draw from.

    Returns:
        A camera with 4000 to 40,000 electrons at white, a read noise of 2 to 8 and a row noise of
        up to 0.3 of that; gains of 1.4 to 2.8 (red) and 1.2 to 2.4 (blue); a matrix between that
        of a real camera and none.
    """
    rng = np.random.default_rng(seed)
    read_noise = log_uniform(rng, 2, 8)
    share = rng.uniform(0, 1.2)
    return RawCamera(
        electrons=log_uniform(rng, 4000, 40_000),
        read_noise=read_noise,
        row_noise=float(read_noise * rng.uniform(0, 0.3)),
        gains=(float(rng.uniform(1.4, 2.8)), 1.0, float(rng.uniform(1.2, 2.4))),
        matrix=tuple(map(tuple, (share * np.array(MATRIX) + (1 - share) * np.eye(3)).tolist())),
    )
