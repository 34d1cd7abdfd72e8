"""The command that serves the page: serve."""

from __future__ import annotations

import argparse
import signal
import sys

from lle_utils.cli.command import command, extra_installed
from lle_utils.serving.limits import Limits

LAST_PORT = 65535
LIMIT_HELP = {
    "megabytes": (float, "largest upload"),
    "megapixels": (float, "largest photo"),
    "seconds": (float, "longest time for a photo"),
    "waiting": (int, "photos that may wait"),
}


def add_serve(commands) -> None:
    """Add ``lle serve``, with an option for each of the `Limits`."""
    serve = command(commands, "serve", _serve, "Serve a web page that brightens photos.")
    serve.epilog = "Example: lle serve --port 8000, then open http://127.0.0.1:8000"
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for all networks (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8000, help="port to listen on (8000)")
    for name, (kind, text) in LIMIT_HELP.items():
        default = getattr(Limits, name)
        serve.add_argument(f"--{name}", type=kind, default=default, help=f"{text} ({default})")


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is no port; expected 1 to {LAST_PORT}")
    return int(text)


def _serve(options) -> None:
    with extra_installed("serve"):
        from lle_utils.serving.app import serve

    limits = Limits(**{name: getattr(options, name) for name in LIMIT_HELP})
    # The first process of a container ends by no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(f"http://{options.host}:{options.port}", flush=True)
    serve(options.host, options.port, limits)
