"""Sliders, wipe and upload: real widgets, no browser."""

import threading
import time
from io import BytesIO

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from lle_utils.core.images import ImageError
from lle_utils.display import plotting, widgets


def scene(height=20, width=30):
    """A non-square ramp with a different slope in each channel."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    planes = (rows / height, columns / width, (rows + columns) / (height + width))
    return np.stack(planes, axis=-1)


def decode(content):
    return np.asarray(Image.open(BytesIO(content)))


def find(box, kind):
    return next(child for child in box.children if isinstance(child, kind))


def wait_for(condition, seconds=120.0):
    """Wait for a worker thread; the deadline is only met when something is broken."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the picture was not updated in time"
        time.sleep(0.005)


def scaled(strength):
    return scene() * strength


def test_first_picture_is_there_at_once():
    box = widgets.image_slider(scaled, strength=(0.0, 1.0, 0.1, 0.5))
    expected = np.rint(scene() * 0.5 * 255).astype(np.uint8)
    np.testing.assert_array_equal(decode(find(box, ipywidgets.Image).value), expected)


def test_moving_the_slider_changes_the_picture():
    box = widgets.image_slider(scaled, strength=(0.0, 1.0, 0.1, 0.5))
    image = find(box, ipywidgets.Image)
    before = image.value
    find(box, ipywidgets.FloatSlider).value = 1.0
    wait_for(lambda: image.value != before)
    np.testing.assert_array_equal(decode(image.value), np.rint(scene() * 255).astype(np.uint8))


def test_static_picture_equals_the_widgets_first_one():
    sliders = {"strength": (0.0, 1.0, 0.1, 0.3)}
    box = widgets.image_slider(scaled, **sliders)
    assert widgets.static(scaled, **sliders).data == find(box, ipywidgets.Image).value


def test_picture_is_marked_for_browser_tests_and_styles():
    image = find(widgets.image_slider(scaled, strength=(0.0, 1.0, 0.1, 0.5)), ipywidgets.Image)
    assert "lle-image" in image._dom_classes


@pytest.mark.parametrize(
    ("spec", "kind", "value"),
    [
        ((0, 8, 1, 3), ipywidgets.IntSlider, 3),
        ((0.0, 8, 1, 3), ipywidgets.FloatSlider, 3.0),
        (["gamma", "lime"], ipywidgets.ToggleButtons, "gamma"),
        ([("dark", 0.1), ("bright", 0.9)], ipywidgets.ToggleButtons, 0.1),
        (["a", "b", "c", "d", "e"], ipywidgets.Dropdown, "a"),
    ],
)
def test_form_of_a_control_follows_its_description(spec, kind, value):
    seen = []
    box = widgets.image_slider(
        lambda some_value: seen.append(some_value) or scene(), some_value=spec
    )
    control = find(box, kind)
    assert control.value == value
    assert seen == [value]
    assert control.description == "Some value"


@pytest.mark.parametrize(
    "spec", [(0, 1, 0.1), (0, 1, 0.1, 2), (1, 0, 0.1, 0.5), (0, 1, 0, 0.5), [], 3, "gamma"]
)
def test_wrong_description_is_named(spec):
    with pytest.raises(ValueError, match="'strength'"):
        widgets.image_slider(scaled, strength=spec)


def test_newest_position_wins_and_overtaken_ones_are_not_computed():
    seen, started, release = [], threading.Event(), threading.Event()

    def slow(step):
        seen.append(step)
        if step == 1:
            started.set()
            assert release.wait(120)
        return scene() * (step / 50)

    box = widgets.image_slider(slow, step=(0, 50, 1, 0))
    slider, image = find(box, ipywidgets.IntSlider), find(box, ipywidgets.Image)
    slider.value = 1
    assert started.wait(120)
    for value in range(2, 51):  # returns at once: nothing is computed in this thread
        slider.value = value
    release.set()
    expected = widgets.encode_png(scene())
    wait_for(lambda: image.value == expected)
    assert seen == [0, 1, 50]


def test_worker_starts_again_after_it_came_to_rest():
    box = widgets.image_slider(scaled, strength=(0.0, 1.0, 0.1, 0.5))
    slider, image = find(box, ipywidgets.FloatSlider), find(box, ipywidgets.Image)
    for strength in (0.1, 0.9, 0.2):
        slider.value = strength
        expected = widgets.encode_png(scaled(strength))
        wait_for(lambda: image.value == expected)  # noqa: B023
        wait_for(lambda: "lle-image" not in [thread.name for thread in threading.enumerate()])


def test_error_is_shown_and_cleared_again():
    def fragile(strength):
        if strength > 0.8:
            raise RuntimeError("<too strong>")
        return scaled(strength)

    box = widgets.image_slider(fragile, strength=(0.0, 1.0, 0.1, 0.5))
    slider, message = find(box, ipywidgets.FloatSlider), find(box, ipywidgets.HTML)
    before = find(box, ipywidgets.Image).value
    slider.value = 0.9
    wait_for(lambda: message.value)
    assert "RuntimeError: &lt;too strong&gt;" in message.value
    assert find(box, ipywidgets.Image).value == before
    slider.value = 0.2
    wait_for(lambda: not message.value)
    assert find(box, ipywidgets.Image).value == widgets.encode_png(scaled(0.2))


def test_error_at_the_defaults_fails_the_cell():
    with pytest.raises(ImageError, match="expected values in"):
        widgets.image_slider(lambda strength: scene() * 255 * strength, strength=(1, 3, 1, 2))


def test_uint8_pictures_are_shown_as_they_are():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    np.testing.assert_array_equal(decode(widgets.encode_png(image)), image)


def test_large_pictures_are_scaled_down_without_distortion():
    image = np.zeros((1000, 2000, 3), np.float32)
    image[:, :1000] = 1
    shown = decode(widgets.encode_png(image))
    assert shown.shape == (450, 900, 3)
    assert shown[:, 5].min() == 255
    assert shown[:, -5].max() == 0


def small(strength):
    return scaled(strength)[::2, ::2]


def test_preview_goes_before_the_full_picture_and_is_shown_as_large():
    box = widgets.image_slider(scaled, preview=small, strength=(0.0, 1.0, 0.1, 0.5))
    slider, image = find(box, ipywidgets.FloatSlider), find(box, ipywidgets.Image)
    assert image.value == widgets.encode_png(scaled(0.5))
    pictures = []
    image.observe(lambda change: pictures.append(change["new"]), names="value")
    slider.value = 0.8
    wait_for(lambda: len(pictures) == 2)
    assert pictures == [widgets.encode_png(small(0.8)), widgets.encode_png(scaled(0.8))]
    assert image.width == "30"


def test_a_slow_full_picture_neither_holds_up_a_preview_nor_overtakes_it():
    started, release = threading.Event(), threading.Event()

    def slow(strength):
        if strength == 0.8:
            started.set()
            assert release.wait(120)
        return scaled(strength)

    box = widgets.image_slider(slow, preview=small, strength=(0.0, 1.0, 0.1, 0.5))
    slider, image = find(box, ipywidgets.FloatSlider), find(box, ipywidgets.Image)
    slider.value = 0.8
    assert started.wait(120)
    slider.value = 0.2  # while the full picture of 0.8 is being computed
    wait_for(lambda: image.value == widgets.encode_png(small(0.2)))
    pictures = []
    image.observe(lambda change: pictures.append(change["new"]), names="value")
    release.set()
    wait_for(lambda: pictures)
    assert pictures == [widgets.encode_png(scaled(0.2))]


def test_no_full_picture_is_computed_while_the_slider_moves():
    seen = []
    box = widgets.image_slider(
        lambda step: seen.append(step) or scene(), preview=lambda step: scene(), step=(0, 50, 1, 0)
    )
    slider = find(box, ipywidgets.IntSlider)
    for step in range(1, 21):
        slider.value = step
        time.sleep(widgets.REST_SECONDS / 10)
    wait_for(lambda: seen[-1] == 20)
    assert len(seen) <= 4


def test_refresh_draws_what_has_changed_behind_the_sliders():
    photo = [scene()]
    box = widgets.image_slider(
        lambda strength: photo[0] * strength,
        preview=lambda strength: photo[0][::2, ::2] * strength,
        strength=(0.0, 1.0, 0.1, 0.5),
    )
    image = find(box, ipywidgets.Image)
    photo[0] = scene(30, 44)
    box.refresh()
    wait_for(lambda: image.value == widgets.encode_png(scene(30, 44) * 0.5))
    wait_for(lambda: image.width == "44")


def test_wipe_moves_the_border():
    before, after = scene(), 1 - scene()
    box = widgets.wipe(before, after)
    image = find(box, ipywidgets.Image)
    assert image.value == widgets.encode_png(plotting.wipe_image(before, after, 0.5))
    find(box, ipywidgets.FloatSlider).value = 1.0
    wait_for(lambda: image.value == widgets.encode_png(before))


def png(image):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()


def test_uploads_of_both_ipywidgets_generations_are_read():
    seven = {"a.png": {"metadata": {"name": "a.png"}, "content": b"12"}}
    eight = ({"name": "a.png", "type": "image/png", "content": memoryview(b"12")},)
    assert widgets.uploaded_images(seven) == [("a.png", b"12")]
    assert widgets.uploaded_images(eight) == [("a.png", b"12")]
    assert widgets.uploaded_images({}) == widgets.uploaded_images(()) == []


def upload(button, name, content):
    """Set the value as a browser would, in the form of the installed ipywidgets."""
    if isinstance(button.value, dict):
        state = {"data": [memoryview(content)], "metadata": [{"name": name}], "_counter": 1}
    else:
        file = {"name": name, "type": "", "size": len(content), "last_modified": 0}
        state = {"value": [{**file, "content": memoryview(content)}]}
    button.set_state(state)


def test_uploaded_photo_is_processed_and_shown():
    photo = np.rint(scene() * 255).astype(np.uint8)
    box = widgets.upload_button(lambda image: 1 - image)
    image = find(box, ipywidgets.Image)
    assert image.layout.display == "none"
    upload(find(box, ipywidgets.FileUpload), "a.png", png(photo))
    wait_for(lambda: image.value)
    np.testing.assert_array_equal(decode(image.value), 255 - photo)
    wait_for(lambda: image.layout.display is None)


def test_upload_that_is_no_image_is_named():
    box = widgets.upload_button(lambda image: image)
    upload(find(box, ipywidgets.FileUpload), "notes.txt", b"hello")
    message = find(box, ipywidgets.HTML)
    wait_for(lambda: message.value)
    assert "notes.txt cannot be opened as an image" in message.value


def test_photos_of_the_menu_and_uploads_take_turns(tmp_path):
    photo = np.rint(scene() * 255).astype(np.uint8)
    path = tmp_path / "half.png"
    path.write_bytes(png(photo // 2))
    box = widgets.upload_button(lambda image: 1 - image, {"whole": photo, "half": path})
    image, menu = find(box, ipywidgets.Image), find(box, ipywidgets.Dropdown)
    menu.value = "half"
    wait_for(lambda: image.value == widgets.encode_png(255 - photo // 2))
    upload(find(box, ipywidgets.FileUpload), "a.png", png(photo[:10]))
    wait_for(lambda: image.value == widgets.encode_png(255 - photo[:10]))
    menu.value = "half"
    wait_for(lambda: image.value == widgets.encode_png(255 - photo // 2))
