"""Which run a work directory belongs to.

A run claims a folder when it begins. The claim binds once the run has made something or has ended
well. Before that, as after a mistyped path of a text, the next run may be another one.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from rnnlab.errors import UsageError
from rnnlab.run import identity
from rnnlab.run.identity import Identity

#: What only describes a run.
RECORDS = frozenset({identity.FILE, "status.json", "corpus.json", "model.json"})


def claim(root: pathlib.Path, here: Identity, state: str) -> None:
    """Writes `config.json` into a new folder, or checks that an old one belongs to the same run.

    Args:
        root: the folder, locked.
        here: the run that is to work in it.
        state: how the last run in it ended; empty where there was none.

    Raises:
        UsageError: it belongs to another run, or to something else.
        RunError: its `config.json` is damaged.
    """
    path = root / identity.FILE
    if path.exists():
        there = identity.read(root)
        try:
            identity.check_same(root, there, here)
            return
        except UsageError:
            if binds(root, state):
                raise
        _forget(root)
    foreign = sorted(entry.name for entry in root.iterdir() if entry.name[0] != ".")
    if foreign:
        raise UsageError(
            f"--workdir={root}: is not a work directory (it holds {foreign[0]} and no "
            f"{identity.FILE}); choose another with --workdir=PATH"
        )
    identity.write(root, here)


def binds(root: pathlib.Path, state: str) -> bool:
    """Whether a run has ended well in a folder, or has made something there."""
    return state in ("done", "diverged") or any(
        path.is_file() and path.stat().st_size > 0
        for path in _visible(root)
        if path.name not in RECORDS
    )


def _forget(root: pathlib.Path) -> None:
    """Removes what describes a run that has made nothing, and the empty files and folders it made.

    Whatever is hidden stays.
    """
    for path in sorted(_visible(root), reverse=True):
        with contextlib.suppress(OSError):
            if path.is_dir():
                path.rmdir()  # only where it is empty
            elif path.name in RECORDS or path.stat().st_size == 0:
                path.unlink()


def _visible(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """All files and folders below a folder, without hidden ones and what is in them."""
    for path in root.rglob("*"):
        if not any(part[0] == "." for part in path.relative_to(root).parts):
            yield path
