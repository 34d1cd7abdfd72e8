"""Shared helpers of the low-light enhancement notebooks.

Importing the package starts no TensorFlow, needs no network and no GPU; each
module is imported by name where it is used, as in ``from lle_utils import metrics``.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lle-utils")
except PackageNotFoundError:  # a plain checkout on sys.path, not installed
    __version__ = "0+unknown"
