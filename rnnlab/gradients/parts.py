"""The parts of a state by name, and the joint state.

The state of a cell is a NamedTuple of arrays `[*batch, H]`, that of a stack a tuple of such. The
*joint* state is all of them, concatenated in the order of the tree: `[*batch, N]`. A leaf is named
by its path: `h`, `c`, and in a stack `0.h`, `1.c`. A part is named by a path, or by its beginning
or its end: `0` is the whole first layer, and `h` is the `h` of all layers.

Leaves of one NamedTuple form a *group* (a layer). Within a group everything acts on everything, so
that gradients of its leaves stay of one order of magnitude; those of two layers may not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from rnnlab.arrays import Array, Float, State
from rnnlab.errors import UsageError


def leaf_names(state: State) -> tuple[str, ...]:
    """Path of each leaf of the state, such as `h`, `0.c`."""
    paths = jax.tree_util.tree_flatten_with_path(state)[0]
    return tuple(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths)


def part_names(state: State) -> tuple[str, ...]:
    """Names of all leaves, then the names that several leaves share: `0.h, 1.h, h`."""
    leaves = leaf_names(state)
    last = [name.rsplit(".", 1)[-1] for name in leaves]
    shared = sorted(name for name in set(last) - set(leaves) if last.count(name) > 1)
    return (*leaves, *shared)


def find(state: State, part: str | None, argument: str) -> tuple[int, ...]:
    """Indices of the leaves that `part` names, all for None; UsageError if there is none."""
    names = leaf_names(state)
    if part is None:
        return tuple(range(len(names)))
    found = tuple(
        i
        for i, name in enumerate(names)
        if name == part or name.startswith(f"{part}.") or name.endswith(f".{part}")
    )
    if not found:
        raise UsageError(f"{argument}={part!r}: not in this state, which has {', '.join(names)}")
    return found


def groups(state: State) -> tuple[tuple[int, ...], ...]:
    """Indices of the leaves of each group."""
    owners = [name.rpartition(".")[0] for name in leaf_names(state)]
    return tuple(
        tuple(i for i, owner in enumerate(owners) if owner == group)
        for group in dict.fromkeys(owners)
    )


def joint(leaves: list[Array]) -> Float[Array, "... N"]:
    """Concatenates `[..., H_i]` to `[..., N]`."""
    return jnp.concatenate(leaves, axis=-1)


def split(vector: Float[Array, "... N"], widths: tuple[int, ...]) -> list[Array]:
    """Cuts `[..., N]` into leaves `[..., H_i]` of these widths."""
    stops = [sum(widths[: i + 1]) for i in range(len(widths) - 1)]
    return jnp.split(vector, stops, axis=-1)


def widths(state: State) -> tuple[int, ...]:
    """Number of units `H_i` of each leaf."""
    return tuple(leaf.shape[-1] for leaf in jax.tree.leaves(state))
