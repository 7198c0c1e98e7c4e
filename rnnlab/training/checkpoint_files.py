"""What checkpoints are on disk: how they are found, read and verified.

Checksums of the arrays detect damage that the storage format does not notice. Nothing here changes
a folder.
"""

from __future__ import annotations

import contextlib
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts

from rnnlab import hosts
from rnnlab.arrays import Params
from rnnlab.errors import RunError, UsageError
from rnnlab.run import reading
from rnnlab.run.literal_paths import take_literally

take_literally()

#: Folder of a work directory.
CHECKPOINTS = "checkpoints"
#: Attempts to read a checkpoint while a training may remove it.
ATTEMPTS = 5


class Damaged(Exception):
    """A checkpoint was read, and what it holds is not what was written."""


@contextlib.contextmanager
def telling_damage(folder: pathlib.Path) -> Iterator[None]:
    """Tells a damaged checkpoint from one that cannot be read.

    Raises:
        Damaged: by the checksums, or because its files are all read and are not what they should.
        RunError: it cannot be read; what it holds is not known.
    """
    try:
        yield
    except (UsageError, Damaged):
        raise
    except Exception as error:  # what orbax raises depends on where the damage is
        reason = reading.failure(error) or reading.unreadable(folder)
        if reason:
            raise RunError(
                f"{folder}: cannot be read ({reason}). It was left as it is: fix this and rerun "
                "the same command."
            ) from error
        raise Damaged(reading.first_line(error)) from error


def finished_steps(folder: pathlib.Path) -> list[int]:
    """The steps of all complete checkpoints in ascending order."""
    if not folder.is_dir():
        return []
    return sorted(
        int(path.name)
        for path in folder.iterdir()
        if path.name.isdecimal() and (path / "_CHECKPOINT_METADATA").exists()
    )


def read_json(folder: pathlib.Path, name: str | None = None) -> dict[str, Any]:
    """The JSON values in a folder of a checkpoint."""
    options = of_first_host()
    handler = ocp.JsonCheckpointHandler(name, **options)
    with ocp.Checkpointer(handler, **options) as checkpointer:
        return checkpointer.restore(folder.absolute())


def read_arrays(folder: pathlib.Path, like: Any = None) -> Any:
    """The arrays in a folder of a checkpoint, as `like` where that is given."""
    _read_through(folder)
    options = of_first_host()
    handler = ocp.StandardCheckpointHandler(**options)
    with ocp.Checkpointer(handler, **options) as checkpointer:
        return checkpointer.restore(folder.absolute(), args=ocp.args.StandardRestore(like))


def _read_through(folder: pathlib.Path) -> None:
    """Reads every array once, one by one, and raises where one is damaged.

    Orbax reads them all at once and leaves the others behind when one fails, which then report to
    an event loop that is closed.
    """
    base = {"driver": "file", "path": f"{folder}/"}
    keys = ts.KvStore.open({"driver": "ocdbt", "base": base}).result().list().result()
    for name in [key.decode().removesuffix(".zarray") for key in keys if key.endswith(b".zarray")]:
        kvstore = {"driver": "ocdbt", "base": base, "path": name}
        ts.open({"driver": "zarr", "kvstore": kvstore}).result().read().result()


def of_first_host() -> dict[str, Any]:
    """Options with which the first of several hosts works alone."""
    if not hosts.several():
        return {}
    return {
        "multiprocessing_options": ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="first"
        )
    }


def describe(arrays: Any) -> dict[str, str]:
    """Type and shape of every array by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {jax.tree_util.keystr(path): f"{a.dtype}{list(a.shape)}" for path, a in leaves}


def checksums(arrays: Any) -> dict[str, int]:
    """CRC-32 of the bytes of every array by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {
        jax.tree_util.keystr(path): zlib.crc32(np.asarray(leaf).tobytes()) for path, leaf in leaves
    }


def check_same(step: int, here: dict[str, str], there: dict[str, str]) -> None:
    """Raises UsageError where the arrays here and in a checkpoint are not the same."""
    differ = [name for name in here | there if here.get(name) != there.get(name)]
    if differ:
        name = min(differ, key=lambda name: "'params'" not in name)  # others follow from these
        raise UsageError(
            f"checkpoint of step {step}: is of another network or optimiser ({name} is "
            f"{there.get(name, 'absent')} there and {here.get(name, 'absent')} here); choose "
            "another work directory"
        )


def read_parameters(folder: pathlib.Path, which: str, like: Params) -> tuple[int, Params]:
    """The parameters of a checkpoint, and the training steps after which it was taken.

    Nothing in the folder is changed. A training that writes checkpoints meanwhile may remove the
    one that is read; then the choice is made anew.

    Args:
        folder: of the checkpoints.
        which: `"best"`, as evaluations found, or `"last"`. Where nothing was evaluated, the best
            one is the last one, too.
        like: parameters, or their shapes, of the same structure.

    Raises:
        UsageError: there is no checkpoint, or it is of another network.
        RunError: it is damaged, or cannot be read.
    """
    for attempt in range(ATTEMPTS):
        steps = finished_steps(folder)
        if not steps:
            raise UsageError(f"{folder}: there is no checkpoint yet; train first")
        step = steps[-1]
        try:
            with telling_damage(folder / str(step)):
                contents = read_json(folder / str(step) / "contents")
            best = contents["note"]["best"]
            if which == "best" and best and best[1] != step:
                step = best[1]
                with telling_damage(folder / str(step)):
                    contents = read_json(folder / str(step) / "contents")
            with telling_damage(folder / str(step)):
                return step, _read_own(folder, step, contents, like)
        except Damaged as error:
            if step not in finished_steps(folder) and attempt < ATTEMPTS - 1:
                continue
            last = "; the newest one may be intact: checkpoint='last'" if step != steps[-1] else ""
            raise RunError(
                f"{folder}: the checkpoint of step {step} is damaged ({error}){last}"
            ) from error
    raise AssertionError


def _read_own(folder: pathlib.Path, step: int, contents: dict[str, Any], like: Params) -> Params:
    """The parameters alone, verified."""
    own = "['params']"
    there = {
        name.removeprefix(own): value
        for name, value in contents["arrays"].items()
        if name.startswith(own)
    }
    check_same(step, describe(like), there)
    whole = read_arrays(folder / str(step) / "state")["params"]
    params = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(_at(whole, path)), like)
    wanted = {name: contents["checksums"][own + name] for name in there}
    if checksums(params) != wanted:
        raise Damaged("its checksums do not match")
    return params


def _at(tree: Any, path: Any) -> Any:
    """The leaf at a path; orbax restores tuples as lists, and all keys of dicts as strings."""
    for key in path:
        index = key.key if isinstance(key, jax.tree_util.DictKey) else key.idx
        tree = tree[index if isinstance(tree, list) else str(index)]
    return tree
