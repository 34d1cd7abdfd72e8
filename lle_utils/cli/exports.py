"""The command that exports enhancers: export."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import command, extra_installed
from lle_utils.enhancers.runtimes import EXPORT_TARGETS


def add_export(commands) -> None:
    """Add ``lle export``."""
    export = command(commands, "export", _export, "Write an enhancer for another runtime.")
    export.epilog = "Example: lle export zero_dce --to onnx -o exported"
    export.add_argument("name", metavar="NAME", help="a shipped enhancer, or the folder of one")
    export.add_argument("--to", required=True, choices=EXPORT_TARGETS, help="for which runtime")
    export.add_argument("-o", "--output", type=Path, default=Path(), help="folder to write to (.)")


def _export(options) -> None:
    from lle_utils.enhancers.export import export_enhancer
    from lle_utils.enhancers.storage import load_enhancer

    with extra_installed("export"):
        enhancer = load_enhancer(options.name)
        path, measured = export_enhancer(enhancer, options.to, options.output)
    divisor = enhancer.size_divisor
    sides = f"sides divisible by {divisor}" if divisor > 1 else "any size"
    print(
        f"{path}: {measured['bytes'] / 1e6:.2f} MB; "
        f"input (1, H, W, 3) float32 in [0, 1], {sides}\n"
        f"Against Keras on {measured['data']}: largest difference {measured['difference']:.2g}, "
        f"PSNR {measured['psnr']:.1f} dB; PSNR lost {measured['loss']:.3f} dB"
    )
