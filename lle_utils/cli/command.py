"""What every group of commands needs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from lle_utils.core.paths import data_dir
from lle_utils.enhancers import DEFAULT_METHOD

CARDS = "pretrained/*/card.json"
SOURCE_HELP = (
    "lol, another name of `lle data list`, synthetic, a pack (.npz), a folder (low/ and normal/, "
    "pictures side by side, well-lit photos alone, dark ones alone), or several joined with +"
)
METHOD_HELP = "a shipped enhancer, the folder of one, or a classical baseline"


def complain(message: str) -> int:
    """Say what is wrong and return the exit status for it."""
    print(f"lle: {message}", file=sys.stderr)
    return 1


def command(
    commands, name: str, handler: Callable, description: str, aliases: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        commands: What ``add_subparsers`` returned.
        name: The word that calls it.
        handler: Takes the parsed options; returns the exit status, or None for 0.
        description: One sentence for its help.
        aliases: More words that call it.

    Returns:
        Its parser, to add arguments to.
    """
    parser = commands.add_parser(name, help=description, description=description, aliases=aliases)
    parser.set_defaults(handler=handler)
    return parser


def add_method_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--method`` and ``--level`` to a command that brightens a photo or a video."""
    method_help = f"{METHOD_HELP} ({DEFAULT_METHOD}){_with_care()}"
    parser.add_argument("--method", default=DEFAULT_METHOD, help=method_help)
    level_help = f"mean brightness of the result, from 0 to 1 (what suits the {what})"
    parser.add_argument("--level", type=float, help=level_help)


@cache
def _with_care() -> str:
    """Name the enhancers of which a limit on ordinary photos is missed, for a help text.

    The cards are read here as they are: help must not wait for the packages that networks need.
    """
    cards = [json.loads(path.read_text("utf-8")) for path in sorted(data_dir().glob(CARDS))]
    named = [card["name"] for card in cards if card.get("behavior", {}).get("misses")]
    return f"; look well at what these make of a photo: {', '.join(named)}" if named else ""


@contextmanager
def extra_installed(name: str) -> Iterator[None]:
    """Turn a missing package into an error that names the extra to install.

    Args:
        name: Of the extra, and of the command that needs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"`lle {name}` needs {error.name}: pip install 'lle-utils[{name}]'."
        raise ImportError(message) from error
