"""The command that exports enhancers: export."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import command, complain, extra_installed
from lle_utils.enhancers.runtimes import EXPORT_TARGETS


def add_export(commands) -> None:
    """Add ``lle export``."""
    export = command(commands, "export", _export, "Write an enhancer for another runtime.")
    export.epilog = "Example: lle export zero_dce --to onnx -o exported"
    name_help = "a shipped enhancer, or the folder of one"
    export.add_argument("name", metavar="NAME", nargs="?", help=name_help)
    export.add_argument("--to", choices=EXPORT_TARGETS, help="for which runtime")
    export.add_argument("-o", "--output", type=Path, default=Path(), help="folder to write to (.)")
    beside_help = (
        "write the ONNX form that `lle enhance` takes beside the network of NAME, or of each "
        "shipped enhancer"
    )
    export.add_argument("--beside", action="store_true", help=beside_help)


def _export(options) -> int | None:
    if options.beside:
        return _export_beside([options.name] if options.name else None)
    if not (options.name and options.to):
        return complain("name an enhancer and --to which runtime, or take --beside.")
    return _export_to(options)


def _export_beside(names: list[str] | None) -> None:
    from lle_utils.enhancers.storage import list_enhancers

    with extra_installed("export"):
        from lle_utils.enhancers.onnx_export import write_onnx

        for name in names or [*list_enhancers(), *list_enhancers(raw=True)]:
            print(f"{name}: largest difference from Keras {write_onnx(name):.2g}", flush=True)


def _export_to(options) -> None:
    from lle_utils.enhancers.export import export_enhancer
    from lle_utils.enhancers.export_notes import example_path
    from lle_utils.enhancers.storage import load_enhancer

    with extra_installed("export"):
        enhancer = load_enhancer(options.name)
        path, measured = export_enhancer(enhancer, options.to, options.output)
    sides = "any size"
    if options.to == "int8" and (divisor := enhancer.size_divisor) > 1:
        sides = f"sides divisible by {divisor}"
    print(
        f"{path}: {measured['bytes'] / 1e6:.2f} MB; "
        f"input (batch, height, width, 3) float32 in [0, 1], {sides}\n"
        f"Against Keras on {measured['data']}: largest difference {measured['difference']:.2g}, "
        f"PSNR {measured['psnr']:.1f} dB; PSNR lost {measured['loss']:.3f} dB"
    )
    if options.to == "onnx":
        print(f"{example_path(path)} is a program that enhances a photo with it.")
