"""The command line, ``lle``."""
