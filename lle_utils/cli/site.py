"""The command that writes the app for the device: site."""

from __future__ import annotations

from pathlib import Path

from lle_utils.cli.command import command


def add_site(commands) -> None:
    """Add ``lle site``."""
    described = "Write a static app that brightens photos in the browser, without a server."
    site = command(commands, "site", _site, described)
    site.epilog = "Example: lle site -o site/, then python -m http.server --directory site"
    site.add_argument("-o", "--output", type=Path, default=Path("site"), help="folder (site)")


def _site(options) -> None:
    from lle_utils.serving.site import write_site
    from lle_utils.serving.web_runtime import fetch_runtime

    print(f"App: {write_site(options.output, fetch_runtime())}")
