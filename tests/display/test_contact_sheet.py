"""Sheets and windows: read back from the pixels, on pictures that are not square."""

import numpy as np
import pytest

from lle_utils.core.images import ImageError
from lle_utils.display import contact_sheet

RED, BLUE = (np.full((30, 45, 3), c, np.float32) for c in ((0.8, 0, 0), (0, 0, 0.6)))


def test_sheet_lays_pictures_out_in_reading_order():
    sheet = contact_sheet.draw_contact_sheet(
        {"a": RED, "b": BLUE, "c": BLUE, "d": RED}, 2, width=400
    )
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 400
    height = sheet.shape[0]
    corners = [sheet[row, column].tolist() for row in (height // 2 - 9, -3) for column in (3, -3)]
    assert corners == [[204, 0, 0], [0, 0, 153], [0, 0, 153], [204, 0, 0]]


def test_sheet_has_a_label_above_each_picture():
    sheets = [
        contact_sheet.draw_contact_sheet({name: RED}, width=300) for name in ("gamma", "lime")
    ]
    differ = (sheets[0] != sheets[1]).any(axis=(1, 2))
    assert differ.any()
    picture = (sheets[0] == [204, 0, 0]).all(axis=2).any(axis=1)
    assert np.flatnonzero(differ).max() < np.flatnonzero(picture).min()


def test_sheet_names_what_does_not_fit():
    with pytest.raises(ValueError, match="no picture"):
        contact_sheet.draw_contact_sheet({})
    with pytest.raises(ImageError, match="one shape"):
        contact_sheet.draw_contact_sheet({"a": RED, "b": BLUE[:-1]})


def test_dark_windows_come_darkest_first_and_do_not_overlap():
    rows, columns = np.mgrid[:41, :60] / 120
    photo = np.stack([0.9 - rows - columns] * 3, axis=-1)
    windows = contact_sheet.dark_windows(photo, 5)
    assert windows[0] == np.s_[30:40, 45:60]
    means = [photo[window].mean() for window in windows]
    assert means == sorted(means)
    counts = np.zeros(photo.shape[:2], int)
    for window in windows:
        counts[window] += 1
    assert counts.max() == 1
    assert counts.sum() == 5 * 10 * 15


def test_dark_windows_of_a_tiny_photo():
    assert contact_sheet.dark_windows(np.full((1, 2, 3), 0.1), 9) == [
        np.s_[0:1, 0:1],
        np.s_[0:1, 1:2],
    ]


def test_fit_keeps_small_photos_and_the_shape_of_large_ones():
    assert contact_sheet.fit_within(RED) is RED
    large = contact_sheet.fit_within(np.tile(BLUE, (4, 5, 1)), longest=90)
    assert large.shape == (48, 90, 3)
    assert large.dtype == np.float32
    assert large[..., 2].min() == pytest.approx(0.6)
