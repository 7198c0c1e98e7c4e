"""Checkpoints by orbax: written while training continues, verified when read.

A checkpoint holds the training state and a note of JSON values: the position in the data, the rows
of metrics so far, and what describes the arrays. The last two are kept, and the one with the best
value. Checksums of the arrays detect damage that the storage format does not notice. With several
hosts, the first one writes and reads, and sends the others what it has read. `read_parameters`
reads from outside a run and changes nothing.
"""

from __future__ import annotations

import copy
import json
import math
import pathlib
import shutil
import sys
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
from orbax.checkpoint import checkpoint_managers as policies

from rnnlab import hosts
from rnnlab.arrays import Params
from rnnlab.errors import RunError, UsageError
from rnnlab.training.update import TrainState

#: Folder of a work directory.
CHECKPOINTS = "checkpoints"
KEEP = 2
#: Attempts to read a checkpoint while a training may remove it.
ATTEMPTS = 5


def tell(message: str) -> None:
    """Prints a line to standard error."""
    print(message, file=sys.stderr, flush=True)


class Checkpoints:
    """The checkpoints of a run, in a folder of their own.

    Args:
        folder: made if it does not exist.
        tell: receives a message if a checkpoint cannot be used.
    """

    def __init__(self, folder: pathlib.Path, tell: Callable[[str], None] = tell):
        self._folder = folder.absolute()
        self._tell = tell
        self._manager: Any = None
        if hosts.first():
            self._manager = ocp.CheckpointManager(self._folder, options=_options(self._folder))

    def save(self, state: TrainState, note: dict[str, Any], value: float | None = None) -> None:
        """Starts writing a checkpoint; state and note may be changed as soon as this returns.

        Args:
            state: what to keep, in arrays that this host can read; its `step` names the checkpoint.
            note: JSON values to keep with it.
            value: the lower, the better; None if it has not been measured.

        Raises:
            RunError: this one or the one before cannot be written; older ones stay intact.
        """
        if self._manager is None:
            return
        # Copies: on a CPU orbax writes what the arrays' own memory holds by then.
        arrays = jax.tree.map(np.array, _as_arrays(state))
        step = int(np.max(arrays["step"]))  # members of a population make their updates together
        if step in self._manager.all_steps():
            return
        value = math.inf if value is None or math.isnan(value) else value
        contents = {
            "note": copy.deepcopy(note),
            "arrays": _describe(arrays),
            "checksums": _checksums(arrays),
        }
        self._carefully(
            lambda: self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    contents=ocp.args.JsonSave(contents),
                ),
                metrics={"value": value},
            )
        )

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
            RunError: it cannot be written.
        """
        if self._manager is not None:
            self._carefully(self._manager.wait_until_finished)

    def latest(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest intact checkpoint with its note; damaged ones are reported and removed.

        Args:
            like: a state of the same structure, whose shapes, types and devices it gets.

        Raises:
            UsageError: it is of another architecture or optimiser.
        """
        return _everywhere(like, lambda: self._newest(like))

    def _newest(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(step, like)
            except UsageError:
                raise
            except Exception as error:  # what orbax raises depends on where the damage is
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                self._tell(
                    f"{self._folder}: the checkpoint of step {step} is damaged ({reason[:120]}); "
                    "the one before it is used"
                )
                shutil.rmtree(self._folder / str(step), ignore_errors=True)
                self._manager.reload()
        return None

    def best(self, like: TrainState) -> TrainState | None:
        """The state with the best evaluation, else the newest; arguments as in `latest`."""
        found = self.latest(like)
        if found is None:
            return None
        state, note = found
        step = note["best"][1] if note["best"] else 0
        return self.restore(step, like)[0] if step else state  # there is none of step 0

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The checkpoint of a step with its note; raises what orbax raises if it is damaged."""
        found = _everywhere(like, lambda: self._read(step, like))
        assert found is not None
        return found

    def _read(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        read = self._manager.restore(step, args=ocp.args.Composite(contents=ocp.args.JsonRestore()))
        contents = read["contents"]
        wanted = _as_arrays(like)
        _check_same(step, _describe(wanted), contents["arrays"])
        _read_through(self._folder / str(step) / "state")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, wanted)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        arrays = self._manager.restore(step, args=args)["state"]
        if _checksums(arrays) != contents["checksums"]:
            raise ValueError("its checksums do not match")
        return _as_state(arrays, like), contents["note"]

    def close(self) -> None:
        """Stops the threads of orbax."""
        if self._manager is not None:
            self._manager.close()

    def _carefully(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except Exception as error:  # a full disk shows as OSError, ValueError or others
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RunError(
                f"{self._folder}: a checkpoint cannot be written ({reason}). Fix this and rerun "
                "the same command to resume from the one before."
            ) from error


def read_parameters(folder: pathlib.Path, which: str, like: Params) -> tuple[int, Params]:
    """The parameters of a checkpoint, and the training steps after which it was taken.

    Nothing in the folder is changed. A training that writes checkpoints meanwhile may remove the
    one that is read; then the choice is made anew.

    Args:
        folder: of the checkpoints.
        which: `"best"`, as evaluations found, or `"last"`. Where no evaluation was better than the
            one before training, the best one is the last one, too.
        like: parameters, or their shapes, of the same structure.

    Raises:
        UsageError: there is no checkpoint, or it is of another network.
        RunError: it is damaged.
    """
    for attempt in range(ATTEMPTS):
        steps = _finished_steps(folder)
        if not steps:
            raise UsageError(f"{folder}: there is no checkpoint yet; train first")
        step = steps[-1]
        try:
            contents = _read_contents(folder, step)
            best = contents["note"]["best"]
            if which == "best" and best and best[1] in steps and best[1] != step:
                step = best[1]
                contents = _read_contents(folder, step)
            return step, _read_own(folder, step, contents, like)
        except UsageError:
            raise
        except Exception as error:  # what orbax raises depends on where the damage is
            if step not in _finished_steps(folder) and attempt < ATTEMPTS - 1:
                continue
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RunError(
                f"{folder}: the checkpoint of step {step} is damaged ({reason[:120]})"
            ) from error
    raise AssertionError


def _finished_steps(folder: pathlib.Path) -> list[int]:
    """The steps of all complete checkpoints in ascending order."""
    if not folder.is_dir():
        return []
    return sorted(
        int(path.name)
        for path in folder.iterdir()
        if path.name.isdecimal() and (path / "_CHECKPOINT_METADATA").exists()
    )


def _read_contents(folder: pathlib.Path, step: int) -> dict[str, Any]:
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
        return checkpointer.restore((folder / str(step) / "contents").absolute())


def _read_own(folder: pathlib.Path, step: int, contents: dict[str, Any], like: Params) -> Params:
    """The parameters alone, verified."""
    own = "['params']"
    there = {
        name.removeprefix(own): value
        for name, value in contents["arrays"].items()
        if name.startswith(own)
    }
    _check_same(step, _describe(like), there)
    path = (folder / str(step) / "state").absolute()
    _read_through(path)
    with ocp.StandardCheckpointer() as checkpointer:
        whole = checkpointer.restore(path)["params"]
    params = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(_at(whole, path)), like)
    wanted = {name: contents["checksums"][own + name] for name in there}
    if _checksums(params) != wanted:
        raise ValueError("its checksums do not match")
    return params


def _at(tree: Any, path: Any) -> Any:
    """The leaf at a path of dicts and tuples, which orbax restores as lists."""
    for key in path:
        tree = tree[key.key if isinstance(key, jax.tree_util.DictKey) else key.idx]
    return tree


def _options(folder: pathlib.Path) -> ocp.CheckpointManagerOptions:
    options: dict[str, Any] = {}
    if hosts.several():  # orbax would wait for the others, which write nothing
        folder.mkdir(parents=True, exist_ok=True)
        options["create"] = False
        options["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="first"
        )
    return ocp.CheckpointManagerOptions(
        preservation_policy=policies.AnyPreservationPolicy(
            [
                policies.LatestN(KEEP),
                policies.BestN(get_metric_fn=lambda m: m["value"], reverse=True, n=1),
            ]
        ),
        cleanup_tmp_directories=True,
        **options,
    )


def _everywhere(
    like: TrainState, read: Callable[[], tuple[TrainState, dict[str, Any]] | None]
) -> tuple[TrainState, dict[str, Any]] | None:
    """What the first host reads, on every host."""
    if not hosts.several():
        return read()

    def packed() -> bytes:
        found = read()
        if found is None:
            return b""
        leaves = jax.tree.leaves(_as_arrays(found[0]))
        note = json.dumps(found[1]).encode() + b"\n"
        return note + b"".join(np.asarray(leaf).tobytes() for leaf in leaves)

    note, _, data = hosts.by_first(packed).partition(b"\n")
    if not note:
        return None
    leaves, structure = jax.tree.flatten(_as_arrays(like))
    arrays, start = [], 0
    for leaf in leaves:
        arrays.append(np.frombuffer(data, leaf.dtype, leaf.size, start).reshape(leaf.shape))
        start += arrays[-1].nbytes
    return _as_state(jax.tree.map(jnp.asarray, structure.unflatten(arrays)), like), json.loads(note)


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


def _as_arrays(state: TrainState) -> dict[str, Any]:
    """The state with its key as plain integers."""
    return state._asdict() | {"key": jax.random.key_data(state.key)}


def _as_state(arrays: dict[str, Any], like: TrainState) -> TrainState:
    key = jax.random.wrap_key_data(arrays["key"], impl=jax.random.key_impl(like.key))
    return TrainState(**(arrays | {"key": key}))


def _describe(arrays: Any) -> dict[str, str]:
    """Type and shape of every array by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {jax.tree_util.keystr(path): f"{a.dtype}{list(a.shape)}" for path, a in leaves}


def _checksums(arrays: Any) -> dict[str, int]:
    """CRC-32 of the bytes of every array by its path."""
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {
        jax.tree_util.keystr(path): zlib.crc32(np.asarray(leaf).tobytes()) for path, leaf in leaves
    }


def _check_same(step: int, here: dict[str, str], there: dict[str, str]) -> None:
    differ = [name for name in here | there if here.get(name) != there.get(name)]
    if differ:
        name = min(differ, key=lambda name: "'params'" not in name)  # others follow from these
        raise UsageError(
            f"checkpoint of step {step}: is of another network or optimiser ({name} is "
            f"{there.get(name, 'absent')} there and {here.get(name, 'absent')} here); choose "
            "another work directory"
        )
