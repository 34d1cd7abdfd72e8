"""The command that lists methods: methods."""

from __future__ import annotations

import json

from lle_utils.cli.command import CARDS, command
from lle_utils.core.paths import data_dir

BASELINE_USES = {  # what a curve without a network is for
    "auto_gamma": "a gamma for each photo, by its brightness",
    "clahe": "more local contrast",
    "equalize": "the histogram made even",
    "fixed_curve": "one gamma, tuned to photos as dark as LOL's",
    "gamma": "one gamma",
    "gamma_clahe": "one gamma, then more local contrast",
    "input": "the photo as it is, to compare with",
    "lime": "divided by an estimate of the light",
}
USES = {  # what a trained network is for
    "lumen": "any photo; the default",
    "lumen_tiny": "any photo; smaller and faster",
    "mirnet": "dark rooms, as in LOL: most structure",
    "pix2pix": "dark rooms, as in LOL; shows what a GAN adds",
    "raw_unet": "camera raw, taken with far too little light",
    "resnet_gan": "dark rooms, as in LOL; shows what a GAN adds",
    "retinex": "dark photos: light and paint apart",
    "shed_light": "dark photos, with a strength to choose",
    "zero_dce": "curves learnt without references",
    "zero_dce_pp": "the same, smaller and faster; live preview and video",
}


def add_methods(commands) -> None:
    """Add ``lle methods``."""
    methods = command(commands, "methods", _methods, "List what photos can be enhanced with.")
    methods.epilog = "Example: lle methods mirnet"
    methods.add_argument("name", nargs="?", help="of an enhancer, to print its card")


def _methods(options) -> None:
    from lle_utils.enhancers.storage import load_enhancer_card, onnx_paths

    if options.name:
        print(json.dumps(load_enhancer_card(options.name), indent=2, ensure_ascii=False))
        return
    seconds = _seconds()
    rows = [("method", "for", "MB", "s", "limits missed")]
    for path in sorted(data_dir().glob(CARDS)):
        card, name = json.loads(path.read_text("utf-8")), path.parent.name
        size = f"{sum(p.stat().st_size for p in onnx_paths(path.parent)) / 1e6:.1f}"
        missed = str(len(card["behavior"]["misses"])) if "behavior" in card else ""
        rows.append((name, USES.get(name, card["method"]), size, seconds.get(name, ""), missed))
    rows += [(name, use, "", seconds.get(name, ""), "") for name, use in BASELINE_USES.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for name, use, *numbers in rows:
        right = (f"{n:>{width}}" for n, width in zip(numbers, widths[2:], strict=True))
        print(f"{name:{widths[0]}}  {use:{widths[1]}}  {'  '.join(right)}".rstrip())
    print("\ns: seconds for a photo of 600x400 on two processor cores, as the bench recorded them.")
    print("limits missed: of those on ordinary photos; `lle methods NAME` says which.")


def _seconds() -> dict[str, str]:
    """Return how long methods take for a photo of 600x400, as the bench recorded it."""
    path = data_dir() / "results" / "bench.json"
    if not path.is_file():
        return {}
    measured = json.loads(path.read_text("utf-8"))["enhance"]
    return {m["method"]: f"{m['median']:.2f}" for m in measured if m["width"] == 600}
