"""Checkpoints by orbax: written while training continues, verified when read.

A checkpoint holds the training state and a note of JSON values: the position in the data, the rows
of metrics so far, and what describes the arrays. The last two are kept, and the one of the best
evaluation. With several hosts, the first one writes and reads, and sends the others what it has
read. What lies on disk, and how it is verified, is in `checkpoint_files.py`.

`Checkpoints` belongs to the training that holds the work directory. It puts a damaged checkpoint
aside, under another name, and goes on from the one before; one that cannot be read, for want of
descriptors or memory, say, ends the run and stays as it is.
"""

from __future__ import annotations

import contextlib
import copy
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from rnnlab import hosts
from rnnlab.errors import RunError
from rnnlab.training import checkpoint_files as files
from rnnlab.training.update import TrainState

#: How many of the last checkpoints are kept.
KEEP = 2


def tell(message: str) -> None:
    """Prints a line to standard error."""
    print(message, file=sys.stderr, flush=True)


class Checkpoints:
    """The checkpoints of a training that holds its work directory.

    Nothing is created or cleaned up before the first `save`.

    Args:
        folder: made by the first `save` if it does not exist.
        tell: receives a message if a checkpoint cannot be used.
    """

    def __init__(self, folder: pathlib.Path, tell: Callable[[str], None] = tell):
        self._folder = folder.absolute()
        self._tell = tell
        self._kept = _Kept()
        self._manager: Any = None

    def save(self, state: TrainState, note: dict[str, Any]) -> None:
        """Starts writing a checkpoint; state and note may be changed as soon as this returns.

        Args:
            state: what to keep, in arrays that this host can read; its `step` names the checkpoint.
            note: JSON values to keep with it. Its `best`, a value and the training step at which it
                was measured, or None, says which older checkpoint to keep.

        Raises:
            RunError: this one or the one before cannot be written; older ones stay intact.
        """
        if not hosts.first():
            return
        # Copies: on a CPU orbax writes what the arrays' own memory holds by then.
        arrays = jax.tree.map(np.array, _as_arrays(state))
        step = int(np.max(arrays["step"]))  # members of a population make their updates together
        if step in self._steps():
            return
        contents = {
            "note": copy.deepcopy(note),
            "arrays": files.describe(arrays),
            "checksums": files.checksums(arrays),
        }
        with self._writing():
            self._kept.best = note["best"][1] if note["best"] else None
            if self._manager is None:
                options = _writer(self._folder, self._kept)
                self._manager = ocp.CheckpointManager(self._folder, options=options)
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    contents=ocp.args.JsonSave(contents),
                ),
            )

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
            RunError: it cannot be written.
        """
        if self._manager is not None:
            with self._writing():
                self._manager.wait_until_finished()

    def latest(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest intact checkpoint with its note; damaged ones are told and put aside.

        Args:
            like: a state of the same structure, whose shapes, types and devices it gets.

        Raises:
            UsageError: it is of another architecture or optimiser.
            RunError: it cannot be read.
        """
        return _everywhere(like, lambda: self._newest(like))

    def _newest(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        steps = self._steps()
        while steps:
            step = steps.pop()
            try:
                return self._read(step, like)
            except files.Damaged as error:
                aside = self._put_aside(step)
                instead = "the one before it is used" if steps else "training begins again"
                self._tell(
                    f"{self._folder}: the checkpoint of step {step} is damaged ({error}) and was "
                    f"put aside as {aside}; {instead}"
                )
        return None

    def _put_aside(self, step: int) -> str:
        """Gives a checkpoint a name that is none of a checkpoint, and returns it."""
        name, number = f"damaged-{step}", 1
        while (self._folder / name).exists():
            name, number = f"damaged-{step}-{number + 1}", number + 1
        (self._folder / str(step)).rename(self._folder / name)
        if self._manager is not None:
            self._manager.reload()
        return name

    def best(self, like: TrainState) -> TrainState | None:
        """The state with the best evaluation, else the newest; arguments as in `latest`."""
        found = self.latest(like)
        if found is None:
            return None
        state, note = found
        return self.restore(note["best"][1], like)[0] if note["best"] else state

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The checkpoint of a step with its note.

        Raises:
            RunError: it is damaged, or cannot be read.
        """

        def read() -> tuple[TrainState, dict[str, Any]]:
            try:
                return self._read(step, like)
            except files.Damaged as error:
                raise RunError(
                    f"{self._folder}: the checkpoint of step {step}, the best one, is damaged "
                    f"({error}); train again with another --workdir=PATH"
                ) from error

        found = _everywhere(like, read)
        assert found is not None
        return found

    def _read(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        folder = self._folder / str(step)
        with files.telling_damage(folder):
            contents = files.read_json(folder / "contents")
            wanted = _as_arrays(like)
            files.check_same(step, files.describe(wanted), contents["arrays"])
            abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, wanted)
            arrays = files.read_arrays(folder / "state", abstract)
            if files.checksums(arrays) != contents["checksums"]:
                raise files.Damaged("its checksums do not match")
            return _as_state(arrays, like), contents["note"]

    def _steps(self) -> list[int]:
        """The steps of all checkpoints in ascending order, those being written among them."""
        if self._manager is not None:
            return sorted(self._manager.all_steps())
        return files.finished_steps(self._folder)

    def close(self) -> None:
        """Stops the threads of orbax."""
        if self._manager is not None:
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns what goes wrong into one line."""
        try:
            yield
        except Exception as error:  # a full disk shows as OSError, ValueError or others
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise RunError(
                f"{self._folder}: a checkpoint cannot be written ({reason}). Fix this and rerun "
                "the same command to resume from the one before."
            ) from error


class _Kept(policies.PreservationPolicy):
    """Keeps the last checkpoints and the best one, `best` being its training step."""

    def __init__(self) -> None:
        self.best: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """For each checkpoint, in ascending order of their steps, whether to keep it."""
        del context
        last = len(checkpoints) - KEEP
        return [n >= last or info.step == self.best for n, info in enumerate(checkpoints)]


def _writer(folder: pathlib.Path, kept: _Kept) -> ocp.CheckpointManagerOptions:
    """Of the manager that writes, and drops what an earlier one left unfinished."""
    options = files.of_first_host()
    if options:  # orbax would wait for the others, which write nothing
        folder.mkdir(parents=True, exist_ok=True)
        options["create"] = False
    return ocp.CheckpointManagerOptions(
        preservation_policy=kept, cleanup_tmp_directories=True, **options
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


def _as_arrays(state: TrainState) -> dict[str, Any]:
    """The state with its key as plain integers."""
    return state._asdict() | {"key": jax.random.key_data(state.key)}


def _as_state(arrays: dict[str, Any], like: TrainState) -> TrainState:
    key = jax.random.wrap_key_data(arrays["key"], impl=jax.random.key_impl(like.key))
    return TrainState(**(arrays | {"key": key}))
