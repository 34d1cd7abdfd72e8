"""Pictures with sliders for the notebooks, on ipywidgets 7 and 8.

A picture is computed in a thread of its own, and only for the newest position of the
sliders, so dragging stays smooth with a slow model. A quick preview may go before the full
picture, which then follows when the sliders rest. `static` gives the same picture for readers
without a running kernel.
"""

from __future__ import annotations

import html
import os
import threading
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import Image as StaticImage
from PIL import Image

from lle_utils.core.images import as_float, check_image, decode_uint8, to_float, to_uint8
from lle_utils.display.plotting import wipe_image

MAX_SHOWN_SIDE = 900  # pixels; a larger picture is shown smaller
MAX_BUTTONS = 4  # more choices are a menu
REST_SECONDS = 0.15  # that sliders rest before the full picture follows the preview
Render = Callable[..., np.ndarray]
Spec = tuple[float, float, float, float] | list


class SliderBox(ipywidgets.VBox):
    """What `image_slider` returns: controls, picture and a line for errors."""

    def __init__(self, controls: Mapping[str, ipywidgets.Widget], view: _Picture | _TwoSteps):
        super().__init__([*controls.values(), *view.widgets], layout=_at_the_start())
        self._controls, self._view = controls, view
        for control in controls.values():
            control.observe(lambda _: self.refresh(), names="value")

    def refresh(self) -> None:
        """Draw the picture again, such as after what ``render`` looks at has changed."""
        self._view.submit({name: control.value for name, control in self._controls.items()})


def image_slider(render: Render, preview: Render | None = None, **sliders: Spec) -> SliderBox:
    """Show a picture that follows its sliders.

    Args:
        render: Called with one keyword argument per slider; returns a float image
            ``(H, W, 3)`` in [0, 1], or uint8. It runs outside the main thread once a slider
            has moved.
        preview: As ``render``, but quick: a smaller picture of the same thing. It is shown,
            enlarged, while a slider moves; ``render`` follows when the sliders rest, in a
            thread of its own, so that it never holds up the next preview.
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
    picture = _Picture(encode_png(render(**{n: control.value for n, control in controls.items()})))
    return SliderBox(controls, _TwoSteps(picture, render, preview))


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


def wipe(before: np.ndarray, after: np.ndarray) -> SliderBox:
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


def upload_button(
    on_image: Callable[[np.ndarray], np.ndarray],
    photos: Mapping[str, np.ndarray | str | os.PathLike] | None = None,
) -> ipywidgets.VBox:
    """Let the reader choose a photo, and show what a function makes of it.

    Args:
        on_image: Takes the photo as a float image ``(H, W, 3)`` in [0, 1], upright; returns
            the picture to show. It runs outside the main thread.
        photos: Name -> photo, as a path or a uint8 or float array, for a menu above the
            button.

    Returns:
        A box with the menu, the button, the picture (hidden until there is one) and a line for
        errors, such as for a file that is no image.
    """
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="Choose a photo")
    button.layout.width = "auto"
    menu = ipywidgets.Dropdown(options=list(photos or ()), description="Photo")
    picture = _Picture()
    worker = _NewestOnly(lambda read: picture.update(lambda: on_image(read())))

    def upload(change: Any) -> None:
        files = uploaded_images(change["new"])
        if files:
            name, content = files[-1]
            menu.value = None  # so that the photo in the menu can be chosen again
            worker.submit(lambda: to_float(decode_uint8(content, name)))

    def choose(change: Any) -> None:
        if change["new"] is not None:
            worker.submit(lambda: as_float(photos[change["new"]]))

    button.observe(upload, names="value")
    menu.observe(choose, names="value")
    return _box(*([menu] if photos else []), button, *picture.widgets)


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
    picture.thumbnail((MAX_SHOWN_SIDE, MAX_SHOWN_SIDE))
    buffer = BytesIO()
    picture.save(buffer, format="png", compress_level=3)  # dragging wants speed, not size
    return buffer.getvalue()


def _control(name: str, spec: Spec) -> ipywidgets.Widget:
    label = name.replace("_", " ").capitalize()
    common = {"description": label, "style": {"description_width": "initial"}}
    if isinstance(spec, list) and spec:
        few = len(spec) <= MAX_BUTTONS
        kind = ipywidgets.ToggleButtons if few else ipywidgets.Dropdown
        first = spec[0] if isinstance(spec[0], str) else spec[0][1]
        return kind(options=spec, value=first, **common)
    if not isinstance(spec, tuple) or len(spec) != 4:
        raise ValueError(
            f"Slider {name!r} is {spec!r}; expected (min, max, step, default) or a list of choices."
        )
    low, high, step, default = spec
    if not (low <= default <= high and step > 0):  # one epoch is a slider of one position
        raise ValueError(f"Slider {name!r}: need min <= default <= max and step > 0, got {spec}.")
    whole = all(isinstance(number, int) for number in spec)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    layout = ipywidgets.Layout(width="100%", max_width="500px")
    return kind(value=default, min=low, max=high, step=step, layout=layout, **common)


def _box(*children: ipywidgets.Widget) -> ipywidgets.VBox:
    return ipywidgets.VBox(children, layout=_at_the_start())


def _at_the_start() -> ipywidgets.Layout:
    # Of the line: stretched, a picture would be blown up to the width of the cell.
    return ipywidgets.Layout(align_items="flex-start")


class _Picture:
    """An image widget and the line below it that shows an error instead of losing it."""

    def __init__(self, content: bytes = b"") -> None:
        self._image = ipywidgets.Image(value=content, format="png")
        self._image.add_class("lle-image")
        self._image.layout.max_width = f"min({MAX_SHOWN_SIDE}px, 100%)"
        self._image.layout.display = None if content else "none"
        self._message = ipywidgets.HTML()
        self._message.add_class("lle-message")

    @property
    def widgets(self) -> tuple[ipywidgets.Widget, ...]:
        return self._image, self._message

    def update(
        self,
        render: Callable[[], np.ndarray],
        wanted: Callable[[], bool] = lambda: True,
        keep_size: bool = False,
    ) -> None:
        """Show what ``render`` returns or raises, if it is still ``wanted`` by then."""
        try:
            content, text = encode_png(render()), ""
        except Exception as error:
            message = html.escape(f"{type(error).__name__}: {error}")
            content, text = b"", f'<span style="color:#b00020">{message}</span>'
        if not wanted():
            return
        if content:
            self._image.value = content
            self._image.layout.display = None
            if keep_size:
                self.keep_size()
        self._message.value = text

    def keep_size(self) -> None:
        """Show previews, which are smaller, as large as the picture that is shown now."""
        with Image.open(BytesIO(self._image.value)) as picture:
            self._image.width = str(picture.width)


class _TwoSteps:
    """Show a preview for every position of the sliders, the full picture when they rest."""

    def __init__(self, picture: _Picture, render: Render, preview: Render | None) -> None:
        self.widgets = picture.widgets
        self._picture, self._render, self._preview = picture, render, preview
        self._newest: dict[str, Any] | None = None
        self._full = _NewestOnly(self._show_full)
        self._fast = _NewestOnly(self._show_preview)
        if preview:
            picture.keep_size()

    def submit(self, values: dict[str, Any]) -> None:
        self._newest = values
        (self._fast if self._preview else self._full).submit(values)

    def _show_preview(self, values: dict[str, Any]) -> None:
        self._picture.update(lambda: self._preview(**values))
        self._full.submit(values)

    def _show_full(self, values: dict[str, Any]) -> None:
        if not self._preview:
            self._picture.update(lambda: self._render(**values))
            return
        time.sleep(REST_SECONDS)
        if self._is_newest(values):
            self._picture.update(
                lambda: self._render(**values), lambda: self._is_newest(values), keep_size=True
            )

    def _is_newest(self, values: dict[str, Any]) -> bool:
        return values is self._newest


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
