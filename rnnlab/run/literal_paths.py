"""Folders whose names hold `[`, `]`, `*` or `?`, for the libraries that go through etils' paths.

`etils.epath` hands the whole path to `glob`, so that orbax and TensorFlow Datasets read the name of
a folder such as `lr[0.01]` as a pattern, and find nothing in it.
"""

import glob
from collections.abc import Iterator
from typing import Any

from etils import epath


def take_literally() -> None:
    """From now on, `epath.Path(folder).glob(pattern)` reads the pattern alone as one."""
    paths: Any = type(epath.Path("."))
    if getattr(paths.glob, "__module__", "") == __name__:
        return
    original = paths.glob

    def find(self: Any, pattern: str) -> Iterator[Any]:
        folder = str(self)
        if "://" in folder or not glob.has_magic(folder):
            return original(self, pattern)
        return (self / name for name in glob.glob(pattern, root_dir=folder))

    paths.glob = find
