"""Animated pictures are read back with Pillow: how many frames, how large, how long."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from lle_utils.core.images import ImageError
from lle_utils.display.animations import GAP, TITLE_HEIGHT, animation


def film(count=3, size=(20, 30), start=0.2):
    return [np.full((*size, 3), start + 0.2 * i, np.float32) for i in range(count)]


def opened(shown):
    code = re.search(r"base64,([^\"]+)\"", shown.data).group(1)
    return Image.open(io.BytesIO(base64.b64decode(code)))


def test_every_frame_is_there_with_its_duration_and_both_films_beside_each_other():
    picture = opened(animation({"dark": film(), "light": film(start=0.5)}, fps=20))
    assert picture.n_frames == 3
    assert picture.size == (60 + GAP, 20 + TITLE_HEIGHT)
    for i in range(3):
        picture.seek(i)
        picture.load()
        assert picture.info["duration"] == 50
        values = np.asarray(picture.convert("RGB")) / 255
        row = TITLE_HEIGHT + 10
        assert values[row, 15] == pytest.approx(0.2 + 0.2 * i, abs=0.03)
        assert values[row, 45 + GAP] == pytest.approx(0.5 + 0.2 * i, abs=0.03)


def test_it_says_in_words_what_it_shows():
    assert 'alt="dark &amp; grey: 3 frames in a loop"' in animation({"dark & grey": film()}).data


@pytest.mark.parametrize(
    ("films", "message"),
    [
        ({}, "equally many frames"),
        ({"a": []}, "equally many frames"),
        ({"a": film(2), "b": film(3)}, "equally many frames, got {'a': 2, 'b': 3}"),
        ({"a": film(), "b": film(size=(20, 31))}, "frames of one size"),
    ],
)
def test_films_that_do_not_fit_are_refused(films, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        animation(films)


def test_a_speed_of_nothing_and_frames_that_are_no_images_are_refused():
    with pytest.raises(ValueError, match="fps is 0"):
        animation({"a": film()}, fps=0)
    with pytest.raises(ImageError):
        animation({"a": [np.zeros((4, 4), np.float32)]})
