"""Which errors speak to the user."""

from __future__ import annotations


def is_expected(error: BaseException) -> bool:
    """Tell an error that speaks to the user from one that speaks to a programmer.

    The first kind says what was wrong with a file or an argument: the package's own errors, and
    those of files and of packages that are not installed.
    """
    return isinstance(error, OSError | ImportError) or type(error).__module__.startswith("lle_")
