"""Which errors speak to the user."""

from __future__ import annotations

import importlib
from types import ModuleType


def is_expected(error: BaseException) -> bool:
    """Tell an error that speaks to the user from one that speaks to a programmer.

    The first kind says what was wrong with a file or an argument: the package's own errors, and
    those of files and of packages that are not installed.
    """
    return isinstance(error, OSError | ImportError) or type(error).__module__.startswith("lle_")


def require(module: str, extra: str, what: str = "This format") -> ModuleType:
    """Import a package that an extra of ours installs.

    Args:
        module: Its name.
        extra: Of ours.
        what: What needs it, for the message.

    Raises:
        ImportError: If it is not installed; the message says how to.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'{what} needs {module}: pip install "lle-utils[{extra}]".') from error
