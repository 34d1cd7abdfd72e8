"""The command line, ``lle``. Handlers import what they need, so that ``lle list`` is instant."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from lle_utils.cli.command import complain
from lle_utils.cli.completion import add_completion
from lle_utils.cli.data_sets import add_data_commands
from lle_utils.cli.doctor import add_doctor
from lle_utils.cli.experiments import add_experiment_commands
from lle_utils.cli.exports import add_export
from lle_utils.cli.measure import add_measure_commands
from lle_utils.cli.methods import add_methods
from lle_utils.cli.notebooks import add_notebook_commands
from lle_utils.cli.photos import add_photo_commands
from lle_utils.cli.server import add_serve
from lle_utils.cli.site import add_site
from lle_utils.cli.videos import add_video
from lle_utils.core.errors import is_expected

GROUPS_OF_COMMANDS = (  # in the order of the help
    add_notebook_commands,
    add_data_commands,
    add_photo_commands,
    add_methods,
    add_measure_commands,
    add_experiment_commands,
    add_video,
    add_serve,
    add_site,
    add_export,
    add_doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``lle``; those of the process when None.

    Returns:
        The exit status: 0, or 1 when something failed or a check found a problem.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up is not our news
    options = make_parser().parse_args(arguments)
    try:
        return options.handler(options) or 0
    except KeyboardInterrupt:
        return complain("interrupted")
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        return 1
    except Exception as error:
        if options.debug or not is_expected(error):
            raise
        lacking = type(error) is ModuleNotFoundError  # one that names no extra
        hint = "; `lle doctor` says how to get it" if lacking else ""
        return complain(f"{error}{hint} (--debug shows where)")


def _reader_has_left() -> bool:
    """Tell whether nobody reads the output any more, as after ``| head``."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain
        return True
    return False


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; ``handler`` of what it parses does the work."""
    parser = argparse.ArgumentParser(prog="lle", description="Low-light enhancement notebooks.")
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_commands in GROUPS_OF_COMMANDS:
        add_commands(commands)
    add_completion(commands, parser)
    return parser


class _Version(argparse.Action):
    """Print the version; the packages are asked for it only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: object) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"lle {version('lle-utils')}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
