"""The two ways in which a request can end badly, each told in one line."""


class UsageError(ValueError):
    """The request is wrong. Names the argument, its value and the way out; `run.py` exits with 2."""


class RunError(RuntimeError):
    """The request is right but cannot be carried out (disk, network, damaged file); exits with 1."""
