"""Pictures with sliders for the notebooks, on ipywidgets 7 and 8.

A picture is computed in a thread of its own, and only for the newest position of the
sliders, so dragging stays smooth with a slow model. `static` gives the same picture for
readers without a running kernel.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import Image as StaticImage
from PIL import Image

from lle_utils.images import check_image, decode_uint8, to_float, to_uint8
from lle_utils.plotting import wipe_image

__all__ = ["image_slider", "static", "upload_button", "uploaded_images", "wipe", "wipe_image"]

MAX_SIDE = 900  # pixels; a larger picture is shown smaller
FEW_CHOICES = 4  # up to so many are buttons, more are a menu
Render = Callable[..., np.ndarray]
Spec = tuple[float, float, float, float] | list


def image_slider(render: Render, **sliders: Spec) -> ipywidgets.VBox:
    """Show a picture that follows its sliders.

    Args:
        render: Called with one keyword argument per slider; returns a float image
            ``(H, W, 3)`` in [0, 1], or uint8. It runs outside the main thread once a slider
            has moved.
        **sliders: For each argument of ``render`` either ``(min, max, step, default)`` for a
            slider, of integers when all four are, or a list of choices, each a string or
            ``(label, value)``, of which the first is the default.

    Returns:
        A box with the controls, the picture (class ``lle-image``, PNG, at most 900 pixels a
        side) and a line for errors.

    Raises:
        ValueError: If a slider's description is not one of the two forms.
        Exception: Whatever ``render`` raises for the defaults, so that a broken cell fails.
            Later errors appear below the picture, which stays as it was.
    """
    controls = {name: _control(name, spec) for name, spec in sliders.items()}

    def current() -> dict[str, Any]:
        return {name: control.value for name, control in controls.items()}

    picture = _Picture(encode_png(render(**current())))
    worker = _NewestOnly(lambda values: picture.update(lambda: render(**values)))
    for control in controls.values():
        control.observe(lambda _: worker.submit(current()), names="value")
    return _box(*controls.values(), *picture.widgets)


def static(render: Render, **sliders: Spec) -> StaticImage:
    """Show the picture of `image_slider` at the defaults, for readers without a kernel.

    Args:
        render: As for `image_slider`.
        **sliders: As for `image_slider`.

    Returns:
        A displayable PNG with the very bytes that the widget starts with.

    Raises:
        ValueError: If a slider's description is not one of the two forms.
    """
    values = {name: _control(name, spec).value for name, spec in sliders.items()}
    return StaticImage(data=encode_png(render(**values)), format="png")


def wipe(before: np.ndarray, after: np.ndarray) -> ipywidgets.VBox:
    """Show two images as one, with a slider for where the first gives way to the second.

    Args:
        before: Float image ``(H, W, 3)`` in [0, 1], seen on the left.
        after: Float image of the same shape, seen on the right.

    Returns:
        The box of `image_slider`, with one slider ``position`` in [0, 1].
    """
    return image_slider(
        lambda position: wipe_image(before, after, position), position=(0.0, 1.0, 0.01, 0.5)
    )


def upload_button(on_image: Callable[[np.ndarray], np.ndarray]) -> ipywidgets.VBox:
    """Let the reader choose a photo, and show what a function makes of it.

    Args:
        on_image: Takes the photo as a float image ``(H, W, 3)`` in [0, 1], upright; returns
            the picture to show.

    Returns:
        A box with the button, the picture (hidden until there is one) and a line for errors,
        such as for a file that is no image.
    """
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="Choose a photo")
    button.layout.width = "auto"
    picture = _Picture()

    def show(value: Any) -> None:
        files = uploaded_images(value)
        if files:
            name, content = files[-1]
            picture.update(lambda: on_image(to_float(decode_uint8(content, name))))

    worker = _NewestOnly(show)
    button.observe(lambda change: worker.submit(change["new"]), names="value")
    return _box(button, *picture.widgets)


def uploaded_images(value: Any) -> list[tuple[str, bytes]]:
    """Read the value of a ``FileUpload`` of either ipywidgets generation.

    Args:
        value: A dict of name -> file (ipywidgets 7), or a sequence of files (8).

    Returns:
        Name and content of each file.
    """
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def encode_png(image: np.ndarray) -> bytes:
    """Encode an image for the screen, scaled down to at most 900 pixels a side.

    Args:
        image: Float image ``(H, W, 3)`` in [0, 1], or uint8.

    Returns:
        The PNG file; the same image always gives the same bytes.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = to_uint8(check_image(image, "the picture of the slider"))
    picture = Image.fromarray(image)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = BytesIO()
    picture.save(buffer, format="png", compress_level=3)  # dragging wants speed, not size
    return buffer.getvalue()


def _control(name: str, spec: Spec) -> ipywidgets.Widget:
    label = name.replace("_", " ").capitalize()
    common = {"description": label, "style": {"description_width": "initial"}}
    if isinstance(spec, list) and spec:
        few = len(spec) <= FEW_CHOICES
        kind = ipywidgets.ToggleButtons if few else ipywidgets.Dropdown
        first = spec[0] if isinstance(spec[0], str) else spec[0][1]
        return kind(options=spec, value=first, **common)
    if not isinstance(spec, tuple) or len(spec) != 4:
        raise ValueError(
            f"Slider {name!r} is {spec!r}; expected (min, max, step, default) or a list of choices."
        )
    low, high, step, default = spec
    if not (low <= default <= high and low < high and step > 0):
        raise ValueError(f"Slider {name!r}: need min <= default <= max and step > 0, got {spec}.")
    whole = all(isinstance(number, int) for number in spec)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    layout = ipywidgets.Layout(width="100%", max_width="500px")
    return kind(value=default, min=low, max=high, step=step, layout=layout, **common)


def _box(*children: ipywidgets.Widget) -> ipywidgets.VBox:
    # At the start of the line: stretched, the picture would be blown up to the cell's width.
    return ipywidgets.VBox(children, layout=ipywidgets.Layout(align_items="flex-start"))


class _Picture:
    """An image widget and the line below it that shows an error instead of losing it."""

    def __init__(self, content: bytes = b"") -> None:
        self._image = ipywidgets.Image(value=content, format="png")
        self._image.add_class("lle-image")
        self._image.layout.max_width = f"min({MAX_SIDE}px, 100%)"
        self._image.layout.display = None if content else "none"
        self._message = ipywidgets.HTML()
        self._message.add_class("lle-message")

    @property
    def widgets(self) -> tuple[ipywidgets.Widget, ...]:
        return self._image, self._message

    def update(self, render: Callable[[], np.ndarray]) -> None:
        try:
            self._image.value = encode_png(render())
            self._image.layout.display = None
            self._message.value = ""
        except Exception as error:
            text = html.escape(f"{type(error).__name__}: {error}")
            self._message.value = f'<span style="color:#b00020">{text}</span>'


class _NewestOnly:
    """Do work in one thread, for the newest request; those overtaken are dropped."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[Any] = []
        self._busy = False

    def submit(self, request: Any) -> None:
        with self._lock:
            self._waiting = [request]
            if self._busy:
                return
            self._busy = True
        threading.Thread(target=self._run, name="lle-image", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                request = self._waiting.pop()
            self._work(request)
