"""The command that prints what makes a shell complete `lle`: completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lle_utils.cli.command import command, extra_installed
from lle_utils.cli.measure import BENCHES

SHELLS = ("bash", "zsh", "fish")
FILES = ("output", "photos", "source")  # arguments that may be files, and addresses as well


def add_completion(commands, parser: argparse.ArgumentParser) -> None:
    """Add ``lle completion``.

    Args:
        commands: What ``add_subparsers`` returned.
        parser: That of ``lle``, which all completions are taken from.
    """
    said = "Print a script that makes a shell complete commands, options and names."
    completion = command(commands, "completion", partial(_completion, parser), said)
    completion.epilog = "Example: lle completion bash > lle.bash; source lle.bash"
    completion.add_argument("shell", choices=SHELLS, help="which shell the script is for")


def _completion(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    with extra_installed("completion"):
        import shtab
    names = _known_names()
    for words, action in _arguments(parser):
        known = names.get(f"{words} {action.dest}") or names.get(action.dest)
        _tell(action, known, shtab.FILE)
    print(shtab.complete(parser, options.shell))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Yield each argument of all commands with the words of its command.

    `argparse` has no public list of them; what writes the script reads the same.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _arguments(child)
        else:
            yield parser.prog, action


def _tell(action: argparse.Action, names: list[str] | None, files: dict) -> None:
    """Tell an argument what it is completed with, where it does not know."""
    if action.choices is not None or action.nargs == 0:
        return
    if names:
        action.choices = names
    elif action.type is Path or (action.dest in FILES and action.type is not int):
        action.complete = files


def _known_names() -> dict[str, list[str]]:
    """Return names that may be meant, by argument: its name, the command before it if need be."""
    from lle_utils.enhancers.classical import BASELINES
    from lle_utils.enhancers.storage import list_enhancers

    enhancers = [*list_enhancers(), *list_enhancers(raw=True)]
    names = {"method": [*enhancers, *BASELINES], "parts": [*BENCHES]}
    return names | dict.fromkeys(("lle methods name", "lle export name"), enhancers) | _of_a_clone()


def _of_a_clone() -> dict[str, list[str]]:
    """Return the names that only a clone of the project has: notebooks, profiles, data sets."""
    from lle_utils.data.registry import load_registry
    from lle_utils.notebook_tools.cells import list_notebooks, notebook_folder

    try:
        notebooks, data_sets = list_notebooks(), load_registry()
    except FileNotFoundError:
        return {}
    profiles = sorted(path.stem for path in (notebook_folder() / "profiles").glob("*.yml"))
    data_set = {"lle data download name": [*data_sets]}
    return data_set | {"names": notebooks, "lle train name": notebooks, "profile": profiles}
