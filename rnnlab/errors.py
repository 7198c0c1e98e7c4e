"""The two kinds of failure of a request, each reported in one line."""


class UsageError(ValueError):
    """The request is wrong; `run.py` exits with 2. Names argument, value and way out."""


class RunError(RuntimeError):
    """The request is right but fails (disk, network, damaged file); exits with 1."""
